"""The forms of personal data, by kind: each finder yields the stretches of a text that have one, in characters.

What has check digits must have the right ones. `FINDERS` is all that other modules need.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

Spans = Iterator[tuple[int, int]]

E_MAIL = re.compile(r"(?<![\w.+%-])[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}(?![\w@])")
E_MAIL_IN_WORDS = re.compile(
    r"(?<!\w)[\w.+-]{2,64}\s*(?:\[at\]|\(at\)|\{at\}|<at>)\s*[\w-]+"
    r"(?:\s*(?:\[dot\]|\(dot\)|\{dot\}|<dot>|\.)\s*[\w-]+)+"
    r"|(?<!\w)[\w.+-]{2,64} at [\w-]+(?: dot [\w-]+)* dot "
    r"(?:com|org|net|edu|gov|info|de|fr|es|it|nl|co|uk|br|za|in|ke)\b",
    re.I,
)
HANDLE = re.compile(r"(?<![\w@.+%/-])@(?=[\w.]*[^\W\d])\w[\w.]{1,28}\w(?!@|\.\w)")
PROFILE = re.compile(
    r"(?<!\w)(?:https?://)?(?:www\.|m\.)?(?:(?:facebook|instagram|twitter|x|tiktok|threads|flickr|pinterest|snapchat|"
    r"vk|youtube|linkedin|telegram)\.(?:com|net|me)|fb\.com|t\.me)/"
    r"(?:photos/|people/|add/|in/|channel/|user/|c/)?@?[\w.@-]*\w/?",
    re.I,
)
CARD = re.compile(r"(?<![\d.,-])[3-6]\d{3}([ -]?)(?:\d{4}\1\d{4}\1\d{1,7}|\d{6}\1\d{4,5})(?![\d-])")
IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
SSN = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
SSN_NAMED = re.compile(r"\b(?:SSN|social security)\b[^\d\n]{0,12}(\d{3}[ .-]?\d{2}[ .-]?\d{4})(?!\d)", re.I)
NINO = re.compile(r"(?<!\w)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?!\w)")
CPF = re.compile(r"(?<![\d.-])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\d-])")
DNI = re.compile(r"(?<!\w)([XYZ]-?\d{7}|\d{8}|\d{2}\.\d{3}\.\d{3})-?([A-HJ-NP-TV-Z])(?!\w)")

# libphonenumber knows which numbers there are, and is asked first; these have the form alone.
REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "BR", "ZA", "KE", "NG", "IN", "AU", "NL", "PL")
TELEPHONES = (
    # North America: (212) 555-0187, 212-555-0143, +1 415 555 2671
    re.compile(r"(?<![\w.-])(?:\+?1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?![\w-]|\.\d)"),
    # a plus, then 8 to 15 digits in groups
    re.compile(r"(?<![\w+])\+[1-9](?:[ ().-]{0,2}\d){7,14}(?!\d|[.,]\d)"),
    # 06 39 98 12 34
    re.compile(r"(?<![\w.,-])0[1-9](?:[ .]\d{2}){4}(?![\w-]|[ .,]\d)"),
    # (11) 91234-5678
    re.compile(r"(?<!\w)\(\d{2}\) ?9?\d{4}-\d{4}(?![\w-])"),
    # 0712 345 678
    re.compile(r"(?<![\w.,-])0\d{3} \d{3} \d{3}(?![\w-]|[ .,]\d)"),
)
TELEPHONE_NAMED = re.compile(
    r"\b(?:tel|telephone|phone|mobile|cell|call|text|whatsapp|fax|ring|dial|telefon|handy|tél|móvil)\b[^\d+\n]{0,18}"
    r"(\+?\(?\d[\d\s()./-]{5,17}\d)(?!\d)",
    re.I,
)
SEVEN_DIGITS = re.compile(r"(?:\d[\s()./-]*){7}")
NO_TELEPHONE = re.compile(r"(?:\b(?:ISBN|ISSN|DOI|UPC|EAN|USD|EUR|GBP)\b|[€$£¥])\W*$", re.I)
EXTENSION = re.compile(r",? ?(?:x|ext\.?|#) ?\d{1,5}(?!\w)", re.I)

CAPITAL = r"(?:[A-ZÀ-ÖØ-Þ][\w'’.-]*)"
ENGLISH_STREET = (
    r"Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Court|Ct|Boulevard|Blvd|Crescent|Cres|Terrace|Place|Pl|Square|Sq|"
    r"Close|Gardens|Parkway|Pkwy|Highway|Hwy|Row|Mews|Way|Grove|Circle|Cir|Trail|Hill"
)
STREETS = (
    # 12 Main Street, 221B Baker St., 5/7 Old Mill Road
    re.compile(
        rf"(?<![\w.,-])(\d{{1,5}}(?:[-/]\d{{1,4}})?[A-Za-z]?,? (?:[NSEW]\.? )?(?:{CAPITAL} ){{1,4}}"
        rf"(?:{ENGLISH_STREET})\b(?!['’])\.?)"
    ),
    # the same in small letters, where words say that it is an address
    re.compile(
        r"\b(?:at|lives? (?:at|on|in)|address(?: is|:)?|home:) (\d{1,5}[a-z]? (?:[a-z'’]+ ){1,3}"
        r"(?:street|st|road|rd|avenue|ave|lane|ln|drive|boulevard|blvd|court|crescent|terrace|close|way))\b"
    ),
    # 12 rue de la Paix, 5 bis avenue Foch
    re.compile(
        r"(?<![\w.,-])(\d{1,4}(?: ?(?:bis|ter))?,? (?:rue|avenue|boulevard|allée|chemin|impasse|place|quai) "
        rf"(?:(?:de la|de l['’]|du|des|de|d['’]|la|le|les) ?)?{CAPITAL}(?:[ -](?:(?:de|du|des|la) )?{CAPITAL}){{0,3}})"
    ),
    # Hauptstraße 12, Lange Gasse 4b, Kerkstraat 9
    re.compile(
        r"(?<!\w)((?:[A-ZÄÖÜ][\w.-]*[ -])?[A-ZÄÖÜ]?[\w-]*(?:[Ss]traße|[Ss]trasse|[Ss]tr\.|[Gg]asse|[Aa]llee|"
        r"[Ss]traat|[Ww]eg|[Pp]latz|gracht|laan) \d{1,4} ?[a-z]?)(?!\w|[.,]\d)"
    ),
    # Calle Mayor 5, Avenida de la Constitución, 20, Via Roma 10, Rua Augusta, 1500, ul. Długa 7
    re.compile(
        r"(?<!\w)((?:[Cc]alle|C/|[Aa]venida|[Aa]vda\.|[Pp]laza|[Pp]aseo|[Vv]ia|[Vv]iale|[Pp]iazza|[Cc]orso|[Rr]ua|"
        r"[Tt]ravessa|ul\.|[Uu]lica) ?(?:(?:de la|de los|de las|del|de|della|delle|dei|da|do|dos|das) )?"
        rf"(?:{CAPITAL} ?){{1,3}},? ?(?:n[.º°o]+ ?)?\d{{1,5}}[a-z]?)(?!\w|[.,]\d)"
    ),
    re.compile(
        r"(?<!\w)((?:P\.? ?O\.? ?Box|Postfach|Boîte postale|Apartado(?: de correos)?) \d[\d ]{1,7}\d?)(?!\w)", re.I
    ),
)
NO_STREET = re.compile(r"\d+(?:st|nd|rd|th)\b|.*\bSesame\b", re.I)

AGE = r"(?:1[0-7]|[1-9])"
UNIT = (
    r"(?:years?(?:[ -]old)?|yrs?\.?(?: old)?|y/?o\b|months?(?:[ -]old)?|mths?\.?|mos?\.?|weeks?(?:[ -]old)?|anos|años|"
    r"ans\b|Jahre(?: alt)?)"
)
PERSON = rf"(?P<name>{CAPITAL}(?: (?:(?:van|von|de|da|del|bin|al) )?{CAPITAL}){{0,2}})"
RELATION = (
    r"(?:daughter|son|niece|nephew|brother|sister|grandson|granddaughter|grandchild|child|kid|baby|toddler|boy|girl|"
    r"pupil|student|stepson|stepdaughter|godson|goddaughter|cousin|twin|tochter|sohn|fille|fils|hija|hijo|filha|filho)"
    r"s?"
)
DOING = r"plays?|with|in|at|from|holds?|smiles?|poses?|looks?|sits?|stands?|wears?|and (?:her|his)"
CHILDREN = (
    # Tom (aged 7), Anna (6), Mia Smith (3 yrs), Leo (age 4)
    re.compile(rf"(?<!\w){PERSON},? ?\((?:aged? ?:?)? ?{AGE}(?:½|\.5)?(?:[ -]?{UNIT})?\)"),
    # Anna, aged 6; Tom, age 7
    re.compile(rf"(?<!\w){PERSON},? (?:aged|age:?|âgée? de|edad:?) {AGE}(?![\d:./-])"),
    # Anna, 6 years old; Anna is 6 years old; Anna turned 6 months
    re.compile(rf"(?<!\w){PERSON},?(?: (?:is|was|just turned|turned|turns|at|is now|now))? {AGE}[ -]?{UNIT}(?!\w)"),
    # 6-year-old Anna, 5yo Milo, 8-year-old boy Liam
    re.compile(
        rf"(?<![\w.])(?:{AGE}[ -](?:years?|months?|weeks?|yrs?)[ -]old|{AGE} ?y/?o),? (?:(?:{RELATION}|[a-z]+) )?"
        rf"{PERSON}"
    ),
    # my daughter Anna, 6; his son Tom 7
    re.compile(
        rf"\b{RELATION}:?,? {PERSON},? {AGE}(?![\d:/%-]|[.,]\d| (?!and\b|years|at\b|in\b|on\b|with\b|from\b)[a-z])"
    ),
    # Anna, 6, plays; Anna Smith, 6.
    re.compile(rf"(?<!\w){PERSON}, {AGE}(?=,? (?:{DOING})\b|, [a-z](?!\w*, \d)|,? and {CAPITAL}[^.]*, {AGE}|\.?$)"),
)
# Words that begin a sentence or name other things, and stand with a number or an age.
NOT_NAMES = """
a an the this that these those he she it they we you i my your his her its our their one two three
age aged ages baby babies boy boys girl girls child children kid kids toddler toddlers twins brother sister mother
father january february march april may june july august september october november december monday tuesday
wednesday thursday friday saturday sunday spring summer autumn winter christmas easter chapter page pages room grade
class level step figure fig picture photo part book volume episode season number no day week year month size lesson
unit item table section question example stage group team player bus route line platform gate apollo tree oak dog
puppy cat kitten horse pony cow calf lion tiger elephant bear wine cheese whisky house car building for from at in
on with and or when until after before about only over under suitable recommended now then here there chicken egg
eggs apples corinthians genesis exodus psalm psalms matthew mark luke john acts romans
"""
NO_PERSON = frozenset(NOT_NAMES.split())
# Names of families, too, so they are none only where they stand alone.
COLOURS = frozenset(
    ("red", "blue", "green", "yellow", "orange", "purple", "pink", "brown", "black", "white", "grey", "gray")
)


def _e_mails(text: str) -> Spans:
    if "@" in text:
        yield from (match.span() for match in E_MAIL.finditer(text))
    yield from (match.span() for match in E_MAIL_IN_WORDS.finditer(text))


def _handles(text: str) -> Spans:
    yield from (match.span() for match in PROFILE.finditer(text))
    yield from (match.span() for match in HANDLE.finditer(text))


def _bank(text: str) -> Spans:
    yield from (match.span() for match in CARD.finditer(text) if _luhn(_digits(match[0])))
    yield from (match.span() for match in IBAN.finditer(text) if _mod_97(match[0].replace(" ", "")))


def _identity(text: str) -> Spans:
    for pattern in (SSN, NINO):
        yield from (match.span() for match in pattern.finditer(text))
    yield from (match.span(1) for match in SSN_NAMED.finditer(text))
    yield from (match.span() for match in CPF.finditer(text) if _cpf(_digits(match[0])))
    yield from (match.span() for match in DNI.finditer(text) if _dni(match[1], match[2]))


def _telephones(text: str) -> Spans:
    if SEVEN_DIGITS.search(text) is None:
        return
    found = [match.span() for pattern in TELEPHONES for match in pattern.finditer(text)]
    found += [match.span(1) for match in TELEPHONE_NAMED.finditer(text)]
    found += _known_numbers(text)
    for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if NO_TELEPHONE.search(text[max(0, start - 12) : start]) is None:
            extension = EXTENSION.match(text, end)
            yield start, extension.end() if extension else end


def _known_numbers(text: str) -> Spans:
    """Yield the numbers that libphonenumber holds valid: in a country's own grouping, or with the country's code."""
    from phonenumbers import Leniency, PhoneNumberMatcher

    for region in REGIONS:
        for found in PhoneNumberMatcher(text, region, leniency=Leniency.STRICT_GROUPING):
            if not found.raw_string.isdecimal():  # without any grouping it could be any number
                yield found.start, found.end
    for found in PhoneNumberMatcher(text, None, leniency=Leniency.VALID):
        yield found.start, found.end


def _streets(text: str) -> Spans:
    if not any(character.isdigit() for character in text):
        return
    for pattern in STREETS:
        yield from (match.span(1) for match in pattern.finditer(text) if NO_STREET.match(match[1]) is None)


def _children(text: str) -> Spans:
    if not any(character.isdigit() for character in text):
        return
    for pattern in CHILDREN:
        for match in pattern.finditer(text):
            words, start = match["name"].split(), match.start("name")
            while words and (_names_no_person(words[0]) or words[0].lower() in COLOURS):
                start += len(words[0]) + 1
                words = words[1:]
            if words and not _names_no_person(words[-1]) and len(words[0].strip(".")) > 1:
                yield start, match.end("name")


def _names_no_person(word: str) -> bool:
    return word.strip(".,'’").lower() in NO_PERSON


def _digits(text: str) -> list[int]:
    return [int(character) for character in text if character.isdecimal()]


def _luhn(digits: Sequence[int]) -> bool:
    """Tell whether the last digit checks the others, by ISO/IEC 7812-1."""
    doubled = (2 * digit - 9 * (digit > 4) for digit in digits[-2::-2])
    return len(digits) in range(14, 20) and len(set(digits)) > 1 and (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def _mod_97(iban: str) -> bool:
    """Tell whether the check digits of an IBAN are right, by ISO 7064."""
    return 15 <= len(iban) <= 34 and int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def _cpf(digits: Sequence[int]) -> bool:
    """Tell whether the two check digits of a Brazilian taxpayer number are right."""
    checks = [sum(digits[place] * (size - place) for place in range(size - 1)) * 10 % 11 % 10 for size in (10, 11)]
    return len(set(digits)) > 1 and checks == list(digits[9:])


def _dni(number: str, letter: str) -> bool:
    """Tell whether the letter of a Spanish identity number is that of its remainder by 23."""
    plain = number.replace(".", "").replace("-", "").replace("X", "0").replace("Y", "1").replace("Z", "2")
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(plain) % 23] == letter


FINDERS: Mapping[str, Callable[[str], Spans]] = {
    "e_mail": _e_mails,
    "handle": _handles,
    "bank": _bank,
    "identity": _identity,
    "telephone": _telephones,
    "street": _streets,
    "child": _children,
}
