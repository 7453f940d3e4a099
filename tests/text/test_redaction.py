"""Secrets and personal data are taken out of a text, and what only looks like them stays."""

from __future__ import annotations

import base64
import random
import string
import uuid

import pytest

from engram.engram import draft
from engram.errors import InvalidEngram
from engram.text.redaction import open_redactor, redacted

CHANCE = random.Random(11)
LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


def some(count: int, alphabet: str = LETTERS) -> str:
    """Return `count` characters by chance. No key is in the sources, so no scanner finds one."""
    return "".join(CHANCE.choice(alphabet) for _ in range(count))


def with_luhn(start: str, length: int) -> str:
    """Return a number that begins with `start` and has a valid check digit."""
    from stdnum import luhn

    digits = start + some(length - len(start) - 1, string.digits)
    return digits + luhn.calc_check_digit(digits)


def private_key() -> str:
    body = base64.encodebytes(CHANCE.randbytes(600)).decode()
    return "-----BEGIN OPENSSH " + "PRIVATE KEY-----\n" + body + "-----END OPENSSH " + "PRIVATE KEY-----"


SECRETS = {
    "AWS key": "AKIA" + some(16, string.ascii_uppercase + "234567"),
    "GitHub token": "ghp_" + some(36),
    "GitLab token": "glpat-" + some(20),
    "Anthropic key": "sk-ant-" + "api03-" + some(80),
    "OpenAI key": "sk-proj-" + some(60),
    "Google key": "AIza" + some(35),
    "Stripe key": "sk_live_" + some(24),
    "Slack token": "xoxb-" + some(11, string.digits) + "-" + some(24),
    "SendGrid key": "SG." + some(22) + "." + some(43),
    "Twilio key": "SK" + some(32, HEX),
    "npm token": "npm_" + some(36),
    "PyPI token": "pypi-" + "AgE" + some(80),
    "Hugging Face token": "hf_" + some(34),
    "Telegram token": some(9, "123456789") + ":AA" + some(33),
    "DigitalOcean token": "dop_v1_" + some(64, HEX),
    "Vault token": "hvs." + some(90),
    "JSON web token": "eyJ" + some(20) + ".eyJ" + some(40) + "." + some(43),
    "private key": private_key(),
}

PII = {
    "e-mail address": "ana.weber+news@mail.example.org",
    "phone number": "+49 (0)30 5557-0142",
    "IBAN": "DE89 3704 0044 0532 0130 00",
    "card number": with_luhn("4", 16),
    "social security number": "536-90-4399",
}

KEPT = {
    "a hash": "sha256 " + some(64, HEX),
    "a commit": some(40, HEX),
    "a UUID": str(uuid.UUID(int=CHANCE.getrandbits(128))),
    "a time": "2026-11-26T10:11:12.131415Z",
    "an order number": "order 100 2003 004",
    "a long number with a wrong check digit": with_luhn("4", 16)[:-1] + "x",
    "an account number with a wrong check digit": "DE88 3704 0044 0532 0130 00",
    "a version": "version 1.22.333.4444",
    "a sum": "12345678901234.50 EUR",
    "words about secrets": "the password is required, the token is missing, and the secret is out",
    "a count of tokens": "max_tokens: 1024, token count = 12345678",
    "a language": "a basic course of Python3.11",
    "a package": "sk-learn and task-runner-with-a-long-name-2024",
    "a measure": "00123456 +12 +5 degrees",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_taken_out_and_named(name: str) -> None:
    redact = open_redactor(["secrets"])
    assert redact is not None

    text, counts = redact(f"Here it is: {SECRETS[name]}, keep it safe.")

    assert text == f"Here it is: [secret removed: {name}], keep it safe."
    assert counts == {name: 1}


@pytest.mark.parametrize("name", PII)
def test_personal_data_are_taken_out_and_named(name: str) -> None:
    redact = open_redactor(["pii"])
    assert redact is not None

    text, counts = redact(f"Mine is {PII[name]}, since May.")

    assert text == f"Mine is [personal data removed: {name}], since May."
    assert counts == {name: 1}


@pytest.mark.parametrize("name", KEPT)
def test_what_only_looks_like_a_secret_stays(name: str) -> None:
    redact = open_redactor(["secrets", "pii"])
    assert redact is not None
    assert redact(KEPT[name]) == (KEPT[name], {})


@pytest.mark.parametrize(
    "text",
    [
        "password: {}",
        'API_KEY="{}"',
        "client_secret = {}",
        "Authorization: Bearer {}",
        "postgres://bob:{}@db.example/x",
        "my password is {}",
    ],
)
def test_a_password_is_found_by_what_stands_before_it(text: str) -> None:
    redact = open_redactor(["secrets"])
    assert redact is not None
    password = "Zk7" + some(22)
    assert password not in redact(text.format(password))[0]


def test_words_behind_an_account_number_stay() -> None:
    redact = open_redactor(["pii"])
    assert redact is not None
    assert redact(f"{PII['IBAN']} PLEASE PAY")[0] == "[personal data removed: IBAN] PLEASE PAY"


def test_a_private_key_without_an_end_reaches_to_the_end_of_the_text() -> None:
    redact = open_redactor(["secrets"])
    assert redact is not None
    assert redact("a\n" + private_key()[:200])[0] == "a\n[secret removed: private key]"


def test_each_kind_is_taken_out_only_if_it_was_chosen() -> None:
    secrets, pii = open_redactor(["secrets"]), open_redactor(["pii"])
    assert secrets is not None
    assert pii is not None
    assert secrets(PII["e-mail address"]) == (PII["e-mail address"], {})
    assert pii(SECRETS["GitHub token"]) == (SECRETS["GitHub token"], {})
    assert open_redactor([]) is None


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'names' cannot be taken out; choose from secrets, pii"):
        open_redactor(["secrets", "names"])


def test_metadata_are_cleaned_too_and_say_what_was_taken_out() -> None:
    key, mail = SECRETS["AWS key"], PII["e-mail address"]
    engram = draft(f"{key} and {key}", metadata={"from": mail, "more": [{"key": key}], "size": 3})

    clean = redacted(engram, open_redactor(["secrets", "pii"]))

    assert clean.text == "[secret removed: AWS key] and [secret removed: AWS key]"
    assert clean.metadata == {
        "from": "[personal data removed: e-mail address]",
        "more": [{"key": "[secret removed: AWS key]"}],
        "size": 3,
        "redacted": {"AWS key": 3, "e-mail address": 1},
    }
    assert redacted(clean, open_redactor(["secrets", "pii"])) == clean


def test_an_engram_that_becomes_too_long_is_refused() -> None:
    with pytest.raises(InvalidEngram, match="text is"):
        redacted(draft("a@b.co " * 149_000), open_redactor(["pii"]))


LONG = "Zq7xK2mP9vB4nR8sT1wY6cD3fG5hJ0aLqE"

HIDDEN_SECRETS = [
    ("redis://:{}@cache:6379/0", "Vb3n5kk1"),
    ("mysql://shop:{}@db/x", "Vb3/n5kk1"),
    ("mysql://shop:{}@db/x?mail=a", "Vb3@n5kk1"),
    ("https://api.telegram.org/bot{}/getMe", "1234567890:AAH" + LONG[:32]),
    ("id {}", "AKIA" + "Z0189XYZAB189PQR"),
    ("API key: {}", "vb3n5kk"),
    ("my api key is {}", "vb3n5kk"),
    ("secret key: {}", "vbnmkklq"),
    ("access key: {}", "vb&n(kk)3"),
    ("My password is: {}", "violin"),
    ("Passwords: {}", "violin7"),
    ("password: {} is new", "violinbridgebowcase"),
    ("password123: {}", "violinbridge"),
    ("dbpassword={} timeout=3", "violinbridge"),
    ("pass: {}", "violin7"),
    ("pw: {}", "vio7"),
    ("senha: {}", "violino"),
    ("wachtwoord: {}", "vioolsleutel"),
    ("Passwort: {}", "Geige"),
    ("contraseña: {}", "violín99"),
    ("mot de passe : {}", "archet"),
    ("密码：{}", "vio123"),
    ("пароль: {}", "скрипка"),
    ("Authorization: Token {}", "violinbridge"),
    ('{{"Authorization": "Bearer {}"}}', "violinbridge"),
    ("Authorization: Basic {}", "dmlvbGlu"),
    ("password: {};", "Vb,3,n"),
    ('password: "{}"', "violin bridge bow"),
    ('{{\\"password\\": \\"{}\\", \\"a\\": 1}}', "violin bridge"),
    ('{{"password": "{}"}}', 'vio\\"lin'),
    ("secret:x,password:{}", "violin"),
    ("{}", "ya29." + "a1" * 600),
    ("{}", "sk-" + "b2" * 140),
    ("{}", "eyJhbGciOiJIUzI1.eyJ" + "a1" * 5000 + "." + LONG),
    ("jwt_{}", "eyJhbGciOiJIUzI1NiJ9.eyJhbGciOiJI." + LONG),
    ("{}", "gsk_" + LONG),
    ("{}", "xai-" + LONG),
    ("{}", "pplx-" + LONG),
    ("{}", "r8_" + LONG),
    ("{}", "ATATT3" + LONG + "=12"),
    ("https://acc.example/c?sv=1&sig={}&se=2", LONG + "abc%2Bdef%3D"),
    ("{}", "PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 1\nAAAA\nPrivate-MAC: 0a0b"),
]


@pytest.mark.parametrize(("text", "secret"), HIDDEN_SECRETS)
def test_nothing_of_a_secret_is_left(text: str, secret: str) -> None:
    redact = open_redactor(["secrets"])
    assert redact is not None
    clean, counts = redact(text.format(secret))
    before, behind = text.replace("{{", "{").replace("}}", "}").split("{}")
    assert counts.total() == 1
    assert clean.endswith(behind)
    assert secret not in clean
    assert before.startswith(clean.split("[secret removed")[0])
    assert redact(clean) == (clean, {})


@pytest.mark.parametrize(
    "personal",
    [
        "eva@bücher.de",
        "oleg@firma.xn--p1ai",
        "4111\u00a01111\u00a01111\u00a01111",
        "\uff14" + "\uff11" * 15,
        "+49\u00a030\u00a055570142",
        "\uff0b\uff14\uff19\uff13\uff10\uff15\uff15\uff15\uff17\uff10\uff11\uff14\uff12",
        "de89370400440532013000",
        "de89\u00a03704 0044 0532 0130 00",
        "536 90 4399",
    ],
)
def test_personal_data_are_found_in_each_way_of_writing(personal: str) -> None:
    redact = open_redactor(["pii"])
    assert redact is not None
    clean, counts = redact(f"({personal}) since May")
    assert clean.startswith("([personal data removed: ")
    assert clean.endswith("]) since May")
    assert counts.total() == 1


@pytest.mark.parametrize(
    "text",
    [
        "password: see the wiki",
        "Password: ask Bob for it",
        "the password is wrong",
        "password = get_password()",
        "token = read_token2(path)",
        "password: str = field",
        "password: Optional[str]",
        "connect(password=password, user=args.user)",
        "password=args.password",
        'password = os.environ["X"]',
        "password: ${DB_PASSWORD}",
        "password: <your password>",
        "password: ********",
        '"password": "string"',
        "bypass: everything",
        "Tests pass: three of them",
        "secret: keep it safe",
        "http://localhost:8080/@vite/client",
        "http://[::1]:8080/@x",
    ],
)
def test_sentences_and_code_about_secrets_stay(text: str) -> None:
    redact = open_redactor(["secrets", "pii"])
    assert redact is not None
    assert redact(text) == (text, {})
