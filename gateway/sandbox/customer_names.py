# ruff: noqa: RUF001 - letters of other scripts are intended
"""Invented customer names: mostly plain companies, and some that break careless encoders."""

from __future__ import annotations

from random import Random
from typing import Final

_FIRST: Final = (
    "Alder", "Amber", "Aster", "Beacon", "Birch", "Blue Harbor", "Bramble", "Bright", "Cedar", "Cinder", "Clear",
    "Cobalt", "Copper", "Coral", "Crescent", "Delta", "Ember", "Falcon", "Fern", "Flint", "Forge", "Garnet", "Golden",
    "Granite", "Green Valley", "Harbor", "Hazel", "Heron", "High Point", "Indigo", "Iron Gate", "Ivory", "Juniper",
    "Kestrel", "Lantern", "Laurel", "Linden", "Lunar", "Maple", "Meadow", "Mesa", "Mill Road", "Nimbus", "North Star",
    "Oak", "Olive", "Onyx", "Orchard", "Osprey", "Pebble", "Pine", "Prairie", "Quartz", "Quill", "Raven", "Red Rock",
    "River Bend", "Rowan", "Saffron", "Sage", "Sierra", "Silver", "Slate", "Sparrow", "Spruce", "Stone", "Summit",
    "Sunrise", "Tamarack", "Thistle", "Timber", "Topaz", "Umber", "Velvet", "Violet", "Walnut", "West End", "Willow",
    "Wren", "Yarrow", "Zephyr",
)  # fmt: skip
_TRADE: Final = (
    "Accounting", "Agriculture", "Architects", "Automotive", "Bakery", "Brewing", "Builders", "Capital", "Catering",
    "Chemicals", "Clinic", "Consulting", "Dairy", "Dental", "Design", "Distribution", "Electric", "Energy",
    "Engineering", "Farms", "Fisheries", "Foods", "Foundry", "Freight", "Furniture", "Garden Centre", "Glass",
    "Health", "Holdings", "Hotels", "Instruments", "Insurance", "Interiors", "Labs", "Law", "Logistics", "Machinery",
    "Media", "Metals", "Mining", "Motors", "Optics", "Outfitters", "Packaging", "Paper", "Pharmacy", "Plastics",
    "Printing", "Properties", "Recruiting", "Robotics", "Schools", "Security", "Shipping", "Software", "Steel",
    "Textiles", "Tools", "Toys", "Travel", "Veterinary", "Water", "Wines",
)  # fmt: skip
_FORM: Final = (
    "", "", " Ltd", " Ltd.", " Inc.", ", Inc.", " LLC", " GmbH", " AG", " S.A.", " S.p.A.", " B.V.", " AB", " Oy",
    " A/S", " Pty Ltd", " Group", " & Co.", " & Sons", " Partners",
)  # fmt: skip
# Hard cases for filter values: quotes, URL separators, scripts of both directions, letters whose upper and lower case
# differ in length, and names that differ only in case.
UNUSUAL_NAMES: Final = (
    "O'Neill & Søn", "東京データ株式会社", "شركة النور للتقنية", "C# Studio + Friends", "50% Off Outlet",
    "Straße & Söhne GmbH", "STRASSE & SÖHNE GMBH", "D'Angelo's Caffè", "R&D=Fun? Ltd.", "Łódź Żeglarz Sp. z o.o.",
    "İstanbul Çiçek A.Ş.", "O''Brien", "Αθηνά Ναυτιλιακή", "ΑΘΗΝΆ ΝΑΥΤΙΛΙΑΚΉ", "Привет Мир ООО", "a/b; c:d, (e) or f",
    "מעבדות הגליל", "한빛 소프트", "ไทยข้าวหอม", '"Quoted" Books \\ Maps', "Pâtisserie 🍰 Lune", "N'Djamena Coton",
    "x' or serviceCode eq 'crm", "TEST COMPANY", "Test Company", "", "Zoë's Ñandú Tours", "北京 花园 & 酒店", "null",
    "Rock'n'Roll #1 Records",
)  # fmt: skip


def company_name(rng: Random) -> str | None:
    """Draw a customer's name. About 1 in 400 is null, 1 in 60 is unusual, and a third are in capitals."""
    draw = rng.random()
    if draw < 0.0025:
        return None
    if draw < 0.019:
        return rng.choice(UNUSUAL_NAMES)
    name = f"{rng.choice(_FIRST)} {rng.choice(_TRADE)}{rng.choice(_FORM)}"
    return name.upper() if draw < 0.35 else name
