"""The HTTP side: a stand-in for the Gemini API."""
