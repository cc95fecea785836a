"""Certificates for tests: of a chain with one authority, and of strangers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fendan.server.config import Tls

DAY = timedelta(days=1)

Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def signed(
    name: str, by: Pair | None = None, *, until: timedelta = DAY, since: timedelta = -DAY
) -> Pair:
    """A certificate and its key, of an authority where nobody else signs it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, issuer_key = (subject, key) if by is None else (by[0].subject, by[1])
    now = datetime.now(UTC)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + since)
        .not_valid_after(now + until)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    if by is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()), key


def certificate_pem(pair: Pair) -> bytes:
    return pair[0].public_bytes(serialization.Encoding.PEM)


def key_pem(pair: Pair, password: bytes | None = None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    return pair[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


class Papers:
    """The files of a chain with one authority, and of a stranger with another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = signed("chain")
        stranger = signed("stranger")
        self.write("ca", self.authority)
        self.write("stranger_ca", stranger)
        self.write("server", signed("server", self.authority))
        self.write("client", signed("client", self.authority))
        self.write("expired", signed("client", self.authority, until=-timedelta(hours=1)))
        self.write("early", signed("client", self.authority, since=timedelta(hours=1)))
        self.write("strange", signed("client", stranger))
        (folder / "text.pem").write_text("good morning\n", encoding="utf-8")
        (folder / "empty.pem").touch()
        (folder / "locked.key").write_bytes(key_pem(self.authority, b"secret"))

    def write(self, name: str, pair: Pair) -> None:
        (self.folder / f"{name}.pem").write_bytes(certificate_pem(pair))
        (self.folder / f"{name}.key").write_bytes(key_pem(pair))

    def data(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def tls(self, certificate: str, key: str, client_ca: str | None = None) -> Tls:
        ca = None if client_ca is None else self.folder / client_ca
        return Tls(certificate=self.folder / certificate, key=self.folder / key, client_ca=ca)

    def client(self, name: str | None = None, ca: str = "ca.pem") -> grpc.ChannelCredentials:
        """What a client shows, and whom it trusts."""
        if name is None:
            return grpc.ssl_channel_credentials(self.data(ca))
        key, chain = self.data(f"{name}.key"), self.data(f"{name}.pem")
        return grpc.ssl_channel_credentials(self.data(ca), key, chain)
