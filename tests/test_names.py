"""Names keep the codes they were given, however many there are and however alike they look."""

import itertools
import unicodedata

import pytest

from fendan.engine.names import Names

MANY = 200_000  # enough for several pairs whose 32 bits of hash are the same


def many_names() -> list[str]:
    """Numbers, long ones with one tail, prefixes of one another, and scripts of all widths."""
    kinds = [
        [f"{number}" for number in range(MANY // 4)],
        [f"SKU-{number:032d}-SHANGHAI" for number in range(MANY // 4)],
        [letter * size for letter in "aé店😀" for size in range(1, 64)],
        [f"店{number}😀" for number in range(MANY // 4)],
        [f"{number}é" for number in range(MANY // 4)],
        [unicodedata.normalize("NFD", f"{number}é") for number in range(1000)],
    ]
    return list(itertools.chain(*kinds))


def test_two_hundred_thousand_names_have_the_codes_of_their_arrival() -> None:
    wanted = many_names()
    assert len(set(wanted)) == len(wanted) >= MANY
    names, first = Names(), 0
    for size in itertools.chain([0, 1, 2, 31, 33], itertools.repeat(7919)):
        names.extend(wanted[first : first + size])
        first += size
        if first >= len(wanted):
            break
    assert len(names) == len(wanted)
    assert [names.get(name) for name in wanted] == list(range(len(wanted)))


def test_a_name_that_is_only_like_one_is_not_known() -> None:
    wanted = many_names()
    names, known = Names(), set(wanted)
    names.extend(wanted)
    likenesses = itertools.chain.from_iterable(
        (name[:-1], name[1:], name + "0", name + "\0", name.swapcase(), " " + name)
        for name in wanted[::7]
    )
    strangers = [name for name in likenesses if name not in known]
    assert len(strangers) > 100_000
    assert [name for name in strangers if name in names] == []


def test_no_text_at_all_is_a_name_like_others() -> None:
    """The first one, too, for which there is no text to hold."""
    names = Names()
    names.extend([""])
    assert (len(names), names.get(""), names.get("tea")) == (1, 0, None)


def test_many_texts_are_looked_up_at_once_and_no_text_is_told_apart() -> None:
    names = Names()
    names.extend(["b", "c"])
    asked = ["c", "", "d", *[""] * 40, "b"]
    found = names.codes(asked, otherwise=-1, empty=-2)
    assert found.tolist() == [1, -2, -1, *[-2] * 40, 0]


def test_prefixes_of_one_another_are_different_names() -> None:
    prefixes = ["x" * size for size in range(1, 256)]
    names = Names()
    names.extend(prefixes[::-1])
    assert [names[name] for name in prefixes] == list(range(254, -1, -1))


def test_what_is_no_name_is_not_known() -> None:
    names = Names()
    assert names.get("tea") is None
    names.extend(["tea"])
    for stranger in ("", "te", "teas", "\ud800", b"tea", 0, None, ("tea",), ["tea"]):
        assert names.get(stranger) is None
        assert stranger not in names
        with pytest.raises(KeyError):
            names[stranger]  # type: ignore[index]


def test_a_kind_of_str_is_the_same_name() -> None:
    class Sku(str):
        pass

    names = Names()
    names.extend([Sku("tea")])
    assert names["tea"] == names[Sku("tea")] == 0


@pytest.mark.parametrize("bad", ["\ud800", 7, None, b"milk"])
def test_names_that_cannot_all_be_taken_are_none_of_them_taken(bad: object) -> None:
    names = Names()
    names.extend(["tea"])
    with pytest.raises((TypeError, UnicodeEncodeError)):
        names.extend(["milk", bad])  # type: ignore[list-item]
    assert len(names) == 1
    assert names.get("milk") is None
    names.extend(["rice"])
    assert names["rice"] == 1
