"""The answer's type follows Accept with its q-values; form and top-k come from parameters."""

import pytest

from serve.negotiation import CSV, JSON, NPY, AnswerFormat, NotAcceptableError, negotiate


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("text/*", CSV),
        ("application/*", JSON),
        ("text/csv", CSV),
        ("application/x-npy", NPY),
        ("application/json;q=0.2, text/csv;q=0.9", CSV),
        ("text/html, application/x-npy;q=0.1", NPY),
        ("*/*, application/json;q=0", CSV),
        ("TEXT/CSV", CSV),
        ("application/json;q=nonsense, text/csv;q=0.1", CSV),
    ],
)
def test_the_best_acceptable_type_is_chosen(accept: str, media_type: str) -> None:
    assert negotiate(accept, "", {}, 5).media_type == media_type


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*"])
def test_nothing_acceptable_is_an_error(accept: str) -> None:
    with pytest.raises(NotAcceptableError, match="application/x-npy"):
        negotiate(accept, "", {}, 5)


def test_parameters_of_accept_win_over_attributes_over_the_query() -> None:
    query = {"form": "labels", "top_k": "1"}
    assert negotiate("", "", query, 5) == AnswerFormat(media_type=JSON, form="labels", top_k=1)
    assert negotiate("", "trace=a1;form=logits;top_k=2", query, 5) == AnswerFormat(
        media_type=JSON, form="logits", top_k=2
    )
    accept = 'application/json;top_k="3";form=probabilities'
    assert negotiate(accept, "form=logits,top_k=2", query, 5) == AnswerFormat(
        media_type=JSON, form="probabilities", top_k=3
    )


def test_attributes_that_are_not_ours_are_left_alone() -> None:
    assert negotiate("", "c000b4f9-df62, anything at all; =x", {}, 4).top_k == 4


def test_an_array_holds_probabilities_where_labels_were_asked_for() -> None:
    assert negotiate(NPY, "form=labels", {}, 5).form == "probabilities"
    assert negotiate(NPY, "form=logits", {}, 5).form == "logits"


def test_labels_and_logits_together_are_json_alone() -> None:
    assert negotiate("application/json;form=full", "", {}, 5).form == "full"
    with pytest.raises(ValueError, match="full"):
        negotiate("text/csv;form=full", "", {}, 5)


@pytest.mark.parametrize("query", [{"form": "poem"}, {"top_k": "0"}, {"top_k": "-3"}, {"top_k": "x"}, {"top_k": ""}])
def test_an_option_that_does_not_exist_is_named(query: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(query))):
        negotiate("", "", query, 5)
