"""Names in pictures: in fonts that have their letters, as far as any that is installed has them."""

from matplotlib.font_manager import FontProperties, fontManager, get_font

__all__ = ["font_families", "shown"]

LATIN = "DejaVu Sans"  # comes with matplotlib
# Families with Chinese characters, of which the first that is installed is taken.
CHINESE = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC", "SimHei")


def font_families() -> list[str]:
    """The families that names are written in: the second has what the first has not."""
    installed = {font.name for font in fontManager.ttflist}
    return [LATIN, *(family for family in CHINESE if family in installed)][:2]


def shown(name: str, longest: int) -> str:
    """The name, shortened, none of it mathematics; empty where no installed font can write it."""
    if len(font_families()) == 1:
        known = get_font(fontManager.findfont(FontProperties(family=LATIN))).get_charmap()
        if not all(ord(letter) in known for letter in name):
            return ""
    short = name if len(name) <= longest else name[: longest - 1] + "…"
    return short.replace("$", r"\$")
