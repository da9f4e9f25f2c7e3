"""What lmtest found out, in the forms that people and machines read."""
