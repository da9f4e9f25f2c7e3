"""What stands in front of a live call: nothing leaves that could break a limit."""

import asyncio
import contextlib
from datetime import UTC, datetime
from decimal import Decimal

import dspy
import pytest

import lmtest
from lmtest.doctor import examine
from lmtest.lm.billing import run_id
from lmtest.lm.gate import Gate
from lmtest.money.ledger import Ledger
from lmtest.money.row import LedgerRow
from lmtest.settings import Settings
from lmtest.testing import ScriptedProvider, fields, rate_limited

qa = dspy.Predict("question -> answer")


@pytest.fixture
def priced(monkeypatch, tmp_path):
    """A price of one cent per thousand output tokens, nothing for input: 100 tokens are a tenth of a cent."""
    prices = tmp_path / "prices.toml"
    prices.write_text('["gemini/gemini-2.5-flash"]\ninput = 0\noutput = 10\n')
    monkeypatch.setenv("LMTEST_PRICES", str(prices))


def ask(lm, times, **options):
    with dspy.context(lm=lm.copy(max_tokens=300)), lmtest.use_cassette("qa.yaml", mode="record", **options) as cassette:
        for turn in range(times):
            qa(question=f"question {turn}")
    return cassette


def test_the_call_that_does_not_fit_never_arrives(lm, provider, priced, project):
    spent = ask(lm, 1).cost
    arrived = len(provider.requests)
    budget = spent + Decimal("0.003") * 3  # the worst case of a call is 300 tokens
    with pytest.raises(lmtest.BudgetExceeded) as caught:
        ask(lm, 100, limits=lmtest.Limits(usd_per_run=budget))
    sent = len(provider.requests) - arrived
    rows = [row for row in Ledger(project / ".lmtest" / "ledger.sqlite3") if row.hit == "live"]
    assert len(rows) == sent + 1
    assert sum(row.held for row in rows) <= budget
    assert caught.value.estimate == Decimal("0.003")
    assert caught.value.spent + caught.value.estimate > caught.value.limit == budget


def test_what_is_left_is_told_before_a_call_and_falls_with_what_it_cost(lm, provider, priced, monkeypatch):
    assert lmtest.budget_left(lm.model) is None
    monkeypatch.setenv("LMTEST_USD_PER_RUN", "1")
    assert lmtest.budget_left(lm.model) == 1
    spent = ask(lm, 1).cost
    assert spent > 0
    assert lmtest.budget_left(lm.model) == 1 - spent
    assert lmtest.budget_left(lm.model, tighter=lmtest.Limits(usd_per_run="0.5")) == Decimal("0.5") - spent


@pytest.mark.parametrize("mode", ["live", "record", "replay", "mock"])
def test_what_is_left_inside_a_cassette_is_told_by_its_limits_and_its_test_s(lm, priced, mode):
    spent = ask(lm, 1, test="t::a").cost
    limits = lmtest.Limits(usd_per_run=1, usd_per_test="0.4")
    with lmtest.use_cassette("qa.yaml", mode=mode, limits=limits, test="t::a", allow_misses=True):
        assert lmtest.budget_left(lm.model) == Decimal("0.4") - spent
        assert lmtest.budget_left(lm.model, tighter=lmtest.Limits(usd_per_run="0.3")) == Decimal("0.3") - spent
    assert lmtest.budget_left(lm.model) is None


def test_what_is_left_of_a_limit_without_a_ledger_cannot_be_told(monkeypatch):
    monkeypatch.setenv("LMTEST_LEDGER", "off")
    assert lmtest.budget_left("openai/gpt-5") is None
    with pytest.raises(lmtest.ConfigurationError, match="cannot be kept without a ledger"):
        lmtest.budget_left("openai/gpt-5", tighter=lmtest.Limits(usd_per_run=1))


def test_a_stopped_call_is_not_retried_and_saves_nothing(lm, provider, priced, project):
    with pytest.raises(lmtest.BudgetExceeded):
        ask(lm, 1, limits=lmtest.Limits(usd_per_run="0.0001"))
    assert provider.requests == []
    assert not (project / "qa.yaml").exists()


def test_the_environment_s_limit_wins_over_the_code_s(lm, priced, monkeypatch):
    monkeypatch.setenv("LMTEST_USD_PER_RUN", "0.0001")
    with pytest.raises(lmtest.BudgetExceeded):
        ask(lm, 1, limits=lmtest.Limits(usd_per_run=5))


def test_an_unknown_price_is_refused_when_a_budget_is_set(provider, project):
    unknown = dspy.LM("openai/no-such-model", api_base=provider.url, api_key="k" * 12, max_tokens=10)
    with (
        pytest.raises(lmtest.BudgetExceeded, match="unknown"),
        dspy.context(lm=unknown),
        lmtest.use_cassette("x.yaml", mode="live", limits=lmtest.Limits(usd_per_month=1)),
    ):
        qa(question="what?")
    assert provider.requests == []


def test_a_call_without_a_bound_is_refused_when_a_budget_is_set(provider, project):
    unbounded = dspy.LM("openai/no-such-model", api_base=provider.url, api_key="k" * 12)
    with (
        pytest.raises(lmtest.ConfigurationError, match="set max_tokens"),
        dspy.context(lm=unbounded),
        lmtest.use_cassette("x.yaml", mode="live", limits=lmtest.Limits(usd_per_month=1)),
    ):
        qa(question="what?")
    assert provider.requests == []


def test_a_failed_call_gives_back_what_it_reserved(lm, provider, priced):
    wrong = dspy.LM("gemini/no-such-model", api_base=f"{provider.url}/v1beta", api_key="k" * 12, max_tokens=300)
    limits = lmtest.Limits(usd_per_run="0.004")
    for _ in range(3):
        with (
            pytest.raises(dspy.LMError),
            dspy.context(lm=wrong.copy(model="gemini/gemini-2.5-flash", api_key="invalid")),
        ):
            with lmtest.use_cassette("f.yaml", mode="live", limits=limits):
                qa(question="fails")
    assert len(ask(lm, 1, limits=limits).recorded) == 1


def test_async_calls_pass_the_same_gate(lm, provider, priced):
    async def go():
        with dspy.context(lm=lm.copy(max_tokens=300)):
            async with lmtest.use_cassette("a.yaml", mode="live", limits=lmtest.Limits(usd_per_run="0.0035")):
                return await asyncio.gather(*(qa.acall(question=f"q{n}") for n in range(10)), return_exceptions=True)

    outcomes = asyncio.run(go())
    stopped = [each for each in outcomes if isinstance(each, lmtest.BudgetExceeded)]
    assert stopped
    assert len(provider.requests) == 10 - len(stopped)


def test_a_call_made_between_the_pieces_of_a_stream_does_not_wait_for_it(lm, priced):
    """It would wait for itself: the stream goes on when the call is answered."""
    small = lm.copy(max_tokens=300)
    with lmtest.use_cassette(mode="live", limits=lmtest.Limits(usd_per_run="0.005")) as cassette:
        row = LedgerRow(time=datetime.now(UTC), model=small.model, mode="live", hit="live", cost=None)
        gate = Gate(
            Ledger(".lmtest/ledger.sqlite3"), lmtest.Limits(usd_per_run="0.005"), run=run_id(), row=lambda _: row
        )
        with (
            gate.passed(small.model, {"messages": []}, 300),
            dspy.context(lm=small),
            pytest.raises(lmtest.BudgetExceeded, match=r"\$0.003 reserved"),
        ):
            qa(question="meanwhile?")
    assert cassette.calls == ()


def test_a_rate_spaces_calls_without_losing_one(lm, provider):
    cassette = ask(lm, 3, limits=lmtest.Limits(requests_per_minute=6_000))
    assert len(cassette.recorded) == len(provider.requests) == 3


def test_limits_without_a_ledger_are_refused(lm, monkeypatch):
    monkeypatch.setenv("LMTEST_LEDGER", "off")
    with pytest.raises(lmtest.ConfigurationError, match="ledger"):
        ask(lm, 1, limits=lmtest.Limits(usd_per_run=1))


def test_a_limit_of_one_model_holds_that_model_alone(provider, priced, project):
    (project / "pyproject.toml").write_text('[tool.lmtest.limits."gemini/gemini-2.5-flash"]\nusd_per_run = "0.0001"\n')
    calls = {}
    for model in ("gemini/gemini-2.5-flash", "gemini/gemini-2.5-pro"):
        lm = dspy.LM(model, api_base=f"{provider.url}/v1beta", api_key="k" * 12, max_tokens=300, cache=False)
        with dspy.context(lm=lm), lmtest.use_cassette(mode="live"):
            try:
                calls[model] = qa(question="what?").answer
            except lmtest.BudgetExceeded as error:
                calls[model] = error
    assert isinstance(calls["gemini/gemini-2.5-flash"], lmtest.BudgetExceeded)
    assert "Mock answer" in calls["gemini/gemini-2.5-pro"]


def test_a_call_that_may_not_wait_is_refused_with_when_to_come_back(lm, provider):
    with pytest.raises(lmtest.RateLimited) as caught:
        ask(lm, 2, limits=lmtest.Limits(requests_per_minute=1, max_wait=0))
    assert len(provider.requests) == 1
    assert 0 < caught.value.retry_after <= 60


@pytest.mark.parametrize("engine", ["auto", "litellm"])
def test_dspys_own_estimate_is_kept_beside_ours(engine, lm, project):
    ask(lm.copy(engine=engine), 1)
    [row] = Ledger(project / ".lmtest" / "ledger.sqlite3")
    assert row.dspy_cost == pytest.approx(row.held, rel=Decimal("0.01"))
    assert row.price_version.startswith("genai-prices")
    assert row.provider == "stand-in"
    assert not [finding for finding in examine(Settings(), project) if finding.name == "prices"]


def test_doctor_tells_a_price_that_dspy_sees_otherwise(lm, priced, project):
    ask(lm, 1)
    [finding] = [finding for finding in examine(Settings(), project) if finding.name == "prices"]
    assert finding.detail.startswith("gemini/gemini-2.5-flash: lmtest says $")


def test_a_call_that_its_budget_refuses_takes_no_tokens(lm, priced):
    rate = lmtest.Limits(tokens_per_minute=10, max_wait=0)
    with pytest.raises(lmtest.BudgetExceeded):
        ask(lm, 1, limits=lmtest.Limits(usd_per_run="0.000001").or_else(rate))
    assert len(ask(lm, 1, limits=rate).recorded) == 1


def test_who_is_told_to_wait_makes_everybody_wait_who_shares_the_limit(project):
    limits = lmtest.Limits(requests_per_minute=6_000, max_wait=1)
    with ScriptedProvider([rate_limited(retry_after=30), fields(answer="never asked for")]) as provider:
        with dspy.context(lm=provider.lm(num_retries=0)):
            with pytest.raises(dspy.utils.exceptions.LMRateLimitError), lmtest.use_cassette(mode="live", limits=limits):
                qa(question="one?")
            with pytest.raises(lmtest.RateLimited) as caught, lmtest.use_cassette(mode="live", limits=limits):
                qa(question="another?")
        assert len(provider.requests) == 1
    assert 25 < caught.value.retry_after <= 30


def test_a_call_that_is_answered_later_ends_what_a_provider_asked_everybody_to_wait(project):
    limits = lmtest.Limits(requests_per_minute=6_000, max_wait=1)
    with ScriptedProvider([rate_limited(retry_after=3_000), fields(answer="Paris")], repeat_last=True) as provider:
        lm = provider.lm(num_retries=0)
        with dspy.context(lm=lm):
            with pytest.raises(dspy.LMRateLimitError), lmtest.use_cassette(mode="live", limits=limits):
                qa(question="one?")
            with lmtest.use_cassette(mode="live"):
                qa(question="without a limit?")
            with lmtest.use_cassette(mode="live", limits=limits):
                assert qa(question="another?").answer == "Paris"


def swallow(lm, times=1, **options):
    with dspy.context(lm=lm.copy(max_tokens=300)), lmtest.use_cassette("qa.yaml", **options):
        for turn in range(times):
            with contextlib.suppress(lmtest.LimitError):
                qa(question=f"question {turn}")


NONE_FITS = lmtest.Limits(usd_per_run="0.0001")


def test_a_refusal_that_the_program_caught_is_raised_again_where_the_call_was_to_be_recorded(lm, priced, project):
    with pytest.raises(lmtest.BudgetExceeded):
        swallow(lm, mode="record", limits=NONE_FITS)
    assert not (project / "qa.yaml").exists()


def test_a_program_that_records_nothing_may_go_on_without_a_call(lm, priced):
    swallow(lm, mode="live", limits=NONE_FITS)


def test_a_refusal_is_over_when_the_same_call_was_answered(lm, priced, monkeypatch, project):
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="record", limits=NONE_FITS) as cassette:
        with pytest.raises(lmtest.BudgetExceeded):
            qa(question="one?")
        with lmtest.use_cassette("other.yaml", mode="live") as other:
            qa(question="one?")
        cassette.note(other.calls[0])
    assert cassette.refused == ()


def test_a_refusal_that_parallel_swallows_is_told_with_the_error_it_leads_to(lm, priced):
    limits = lmtest.Limits(usd_per_run="0.0001")
    with (
        pytest.raises(AttributeError) as caught,
        dspy.context(lm=lm.copy(max_tokens=300)),
        lmtest.use_cassette("qa.yaml", mode="record", limits=limits),
    ):
        [answered] = dspy.Parallel(num_threads=1, max_errors=10)(
            [(qa, dspy.Example(question="q?").with_inputs("question"))]
        )
        answered.answer  # noqa: B018 - a program goes on with what it got
    assert "a limit refused a call" in caught.value.__notes__[0]
    assert "usd_per_run is $0.0001" in caught.value.__notes__[0]


def test_a_ledger_that_cannot_be_written_is_told_before_anybody_is_paid(lm, provider, monkeypatch, project):
    monkeypatch.setenv("LMTEST_LEDGER", "/proc/x/ledger.sqlite3")
    for mode in ("record", "live"):
        with pytest.raises(lmtest.ConfigurationError, match="/proc/x/ledger"):
            ask_in(lm, "qa.yaml", mode)
    assert provider.requests == []


@pytest.mark.parametrize("mode", ["record", "auto", "refresh"])
def test_a_cassette_that_could_not_be_saved_is_told_before_anybody_is_paid(lm, provider, project, mode):
    (project / "taken").write_text("a file where the directory would have to be")
    with pytest.raises(lmtest.CassetteError, match="The call was not sent"):
        ask_in(lm, "taken/qa.yaml", mode)
    assert provider.requests == []


def ask_in(lm, path, mode):
    with dspy.context(lm=lm), lmtest.use_cassette(path, mode=mode):
        qa(question="why?")
