"""The products that the sandbox's customers own: id, name and service, most popular first."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Product:
    """One product. The name can be null or ``UNKNOWN``, as upstream."""

    product_id: str
    name: str | None
    service_code: str
    service_name: str


# Source of service codes and names: the example on the Microsoft page.
_O365: Final = ("o365", "Microsoft Office 365")
_CRM: Final = ("crm", "Microsoft Dynamics")

# Source of ids and names: Microsoft's public list "Product names and service plan identifiers for licensing".
# Two ids share the name MICROSOFT 365 BUSINESS BASIC in that list, too.
_KNOWN_O365: Final = (
    ("cbdc14ab-d96c-4c30-b9f4-6ada7cdc1d46", "MICROSOFT 365 BUSINESS PREMIUM"),
    ("f245ecc8-75af-4f8e-b61f-27d8114de5f3", "MICROSOFT 365 BUSINESS STANDARD"),
    ("3b555118-da6a-4418-894f-7df1e2096870", "MICROSOFT 365 BUSINESS BASIC"),
    ("4b9405b0-7788-4568-add1-99614e613b69", "EXCHANGE ONLINE (PLAN 1)"),
    ("6fd2c87f-b296-42f0-b197-1e91e994b900", "OFFICE 365 E3"),
    ("f8a1db68-be16-40ed-86d5-cb42ce701560", "POWER BI PRO"),
    ("18181a46-0d4e-45cd-891e-60aabd171b4e", "OFFICE 365 E1"),
    ("05e9a617-0261-4cee-bb44-138d3ef5d965", "MICROSOFT 365 E3"),
    ("19ec0d23-8335-4cbd-94ac-6050e30712fa", "EXCHANGE ONLINE (PLAN 2)"),
    ("c5928f49-12ba-48f7-ada3-0d743a3601d5", "VISIO PLAN 2"),
    ("53818b1b-4a27-454b-8896-0dba576410e6", "PROJECT PROFESSIONAL"),
    ("dab7782a-93b1-4074-8bb1-0e61318bea0b", "MICROSOFT 365 BUSINESS BASIC"),
    ("efccb6f7-5641-4e0e-bd10-b4976e1bf68e", "ENTERPRISE MOBILITY + SECURITY E3"),
    ("06ebc4ee-1bb5-47dd-8120-11324bc54e06", "MICROSOFT 365 E5"),
    ("c7df2760-2c81-4ef7-b578-5b5392b571df", "OFFICE 365 E5"),
    ("80b2d799-d2ba-4d2a-8842-fb0d0f3a4b82", "EXCHANGE ONLINE KIOSK"),
    ("ee02fd1b-340e-4a4b-b355-4a514e4c8943", "EXCHANGE ONLINE ARCHIVING FOR EXCHANGE ONLINE"),
    ("b05e124f-c7cc-45a0-a6aa-8cf78c946968", "ENTERPRISE MOBILITY + SECURITY E5"),
    ("45a2423b-e884-448d-a831-d9e139c52d2f", "EXCHANGE ONLINE PROTECTION"),
    # Source: the example on the Microsoft page.
    ("d3b4fe1f-9992-4930-8acb-ca6ec609365e", "DOMESTIC AND INTERNATIONAL CALLING PLAN"),
)
_KNOWN_CRM: Final = (
    ("1e1a282c-9c54-43a2-9310-98ef728faace", "DYNAMICS 365 SALES ENTERPRISE"),
    ("7ac9fe77-66b7-4e5e-9e46-10eed1cff547", "DYNAMICS 365 TEAM MEMBERS"),
    ("749742bf-0d37-4158-a120-33567104deeb", "DYNAMICS 365 CUSTOMER SERVICE ENTERPRISE"),
    ("d17b27af-3f49-4822-99f9-56a661538792", "DYNAMICS CRM ONLINE"),
    # Source: the example on the Microsoft page.
    ("54b84594-9c77-4499-8d65-5e0d5f410e78", "DYNAMICS AX TASK"),
)

# Invented names, whose ids are generated below. They bring the number of products near that of a real partner.
_INVENTED_O365: Final = tuple(
    f"{family} {plan}"
    for plan in ("PLAN 1", "PLAN 2", "FOR FRONTLINE WORKERS", "FOR FACULTY", "FOR STUDENTS", "ADD-ON", "NONPROFIT")
    for family in (
        "AUDIO CONFERENCING", "CLOUD PHONE SYSTEM", "COMPLIANCE CENTER", "DATA LOSS PREVENTION", "DEVICE MANAGEMENT",
        "DOCUMENT STORAGE", "EMAIL ENCRYPTION", "FORMS & SURVEYS", "IDENTITY PROTECTION", "INFORMATION GOVERNANCE",
        "INTRANET SITES", "MEETING ROOMS", "RECORDS ARCHIVE", "SCHEDULING", "TASK PLANNING", "TEAM CHAT",
        "THREAT PROTECTION", "WORKPLACE ANALYTICS",
    )
)  # fmt: skip
_INVENTED_CRM: Final = tuple(
    f"DYNAMICS {area} {plan}"
    for plan in ("PROFESSIONAL", "ADDITIONAL APP", "DEVICE", "SANDBOX INSTANCE")
    for area in ("FIELD SERVICE", "FINANCE", "MARKETING", "PROJECT OPERATIONS", "SUPPLY CHAIN", "TALENT")
)
# Invented ids whose names are unknown upstream.
_NAMELESS: Final = (("nameless 1", "UNKNOWN"), ("nameless 2", "UNKNOWN"), ("nameless 3", None))


def _products(
    service: tuple[str, str], known: Iterable[tuple[str, str]], invented: Iterable[tuple[str, str | None]]
) -> tuple[Product, ...]:
    """Return products of a service, most popular first. The ids of invented products are generated from seeds."""
    prefix = "partner-center-graphql sandbox product"
    generated = ((str(uuid.uuid5(uuid.NAMESPACE_URL, f"{prefix} {seed}")), name) for seed, name in invented)
    return tuple(Product(product_id.upper(), name, *service) for product_id, name in (*known, *generated))


O365_PRODUCTS: Final = _products(_O365, _KNOWN_O365, (*_NAMELESS, *((name, name) for name in _INVENTED_O365)))
CRM_PRODUCTS: Final = _products(_CRM, _KNOWN_CRM, ((name, name) for name in _INVENTED_CRM))
