"""Who gets in, and how: tokens with their sessions, TLS and mTLS, on a real server."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import lmtest
from python_worker.client import Reason, Unavailable, WorkerError, connect
from python_worker.domain.access import Grant, Tokens
from python_worker.security import Certificates, exposure, read_certificates, read_tokens
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import StateStub

from .calling import digest
from .test_command_line import COMMAND, NO_KEYS

TOKENS = Tokens(
    {
        digest("root-token"): Grant(name="root"),
        digest("ada-token"): Grant(name="ada", sessions=("ada", "ada-*")),
        digest("none-token"): Grant(name="none", sessions=()),
    }
)


@pytest.fixture
def guarded(start_worker):
    return start_worker(tokens=TOKENS, reflection=True)


@pytest.fixture
def client(guarded):
    clients = []

    def as_(token):
        clients.append(connect(guarded.target, token=token))
        return clients[-1]

    yield as_
    for each in clients:
        each.close()


def reason(call, *args, **options):
    with pytest.raises(WorkerError) as caught:
        call(*args, **options)
    return caught.value.reason


# ---- tokens


@pytest.mark.parametrize("token", [None, "", "unknown", digest("root-token")])
def test_without_a_token_that_is_known_no_call_gets_in(client, token):
    assert reason(client(token).session, "ada") is Reason.UNAUTHENTICATED
    assert reason(client(token).get_program, "qa") is Reason.UNAUTHENTICATED


def test_the_status_of_such_a_call_is_unauthenticated(guarded):
    with grpc.insecure_channel(guarded.target) as channel, pytest.raises(grpc.RpcError) as caught:
        StateStub(channel).GetSession(pb.GetSessionRequest(session="ada"), timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_token_opens_its_own_sessions(client):
    session = client("ada-token").session("ada-1")
    session["x"] = 1
    with session.watch("x", include_initial=True) as watching:
        assert next(watching).new == 1


def test_a_token_does_not_open_the_sessions_of_others(client):
    client("root-token").session("bob")["x"] = 1
    ada = client("ada-token")
    assert reason(ada.session, "bob") is Reason.PERMISSION_DENIED
    assert reason(ada.session, "bob", create=False) is Reason.PERMISSION_DENIED
    mine = ada.session("ada")
    mine.id = "bob"
    for call in (lambda: mine["x"], lambda: mine.set("x", 2), mine.end, mine.watch, lambda: mine.set_many({"x": 2})):
        assert reason(call) is Reason.PERMISSION_DENIED
    assert client("root-token").session("bob")["x"] == 1


def test_a_token_for_some_sessions_does_not_open_what_is_the_whole_workers(client):
    ada = client("ada-token")
    assert reason(list, ada.sessions()) is Reason.PERMISSION_DENIED
    assert reason(ada.create_signature, "signature a: :string b -> :string c") is Reason.PERMISSION_DENIED
    assert reason(ada.execute, "qa", {}) is Reason.PERMISSION_DENIED
    assert reason(ada.execute, "qa", {}, session="ada") is Reason.NOT_FOUND


def test_a_token_for_no_session_opens_none(client):
    assert reason(client("none-token").session, "ada") is Reason.PERMISSION_DENIED


def test_health_is_told_to_everybody_and_the_contract_to_nobody(guarded):
    with grpc.insecure_channel(guarded.target) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        with pytest.raises(grpc.RpcError) as caught:
            next(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([ask]), timeout=10))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_list_of_tokens_is_read_from_toml(tmp_path):
    path = tmp_path / "tokens.toml"
    path.write_text(f'[root]\nsha256 = "{digest("r")}"\n[ada]\nsha256 = "{digest("a")}"\nsessions = ["ada-*"]\n')
    tokens = read_tokens(path)
    assert tokens.grant("Bearer r") == Grant(name="root")
    assert tokens.grant("bearer a") == Grant(name="ada", sessions=("ada-*",))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "would let nobody in"),
        ("[", "does not parse"),
        ('[ada]\ntoken = "secret"', "[ada] needs sha256"),
        ('[ada]\nsha256 = "secret"', "[ada] needs sha256"),
        (f'[ada]\nsha256 = "{digest("a")}"\nsessions = "ada"', "[ada] needs sha256"),
        (f'[ada]\nsha256 = "{digest("a")}"\nsession = ["ada"]', "[ada] needs sha256"),
    ],
)
def test_a_list_that_does_not_read_is_a_sentence(tmp_path, text, says):
    path = tmp_path / "tokens.toml"
    path.write_text(text)
    with pytest.raises(lmtest.ConfigurationError) as caught:
        read_tokens(path)
    assert says in str(caught.value)


TLS = Certificates(key=b"key", chain=b"chain")
MUTUAL = Certificates(key=b"key", chain=b"chain", client_ca=b"authority")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "worker.example"])
@pytest.mark.parametrize(
    ("tokens", "certificates", "says"),
    [
        (True, None, "--tokens without TLS on"),
        (False, None, "without --tokens"),
        (False, TLS, "without --tokens"),
        (True, TLS, None),
        (False, MUTUAL, None),
        (True, MUTUAL, None),
    ],
)
def test_beyond_loopback_callers_are_known_and_tokens_are_not_sent_in_the_clear(host, tokens, certificates, says):
    told = exposure(host, tokens=tokens, certificates=certificates)
    assert says in told if says else told == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
@pytest.mark.parametrize("tokens", [True, False])
def test_on_loopback_nothing_is_asked_for(host, tokens):
    assert exposure(host, tokens=tokens, certificates=None) == ""


# ---- TLS


class Authority:
    """Vouches for certificates."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        ends = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = self._sign(self.name, self.key, ends, critical=True)

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name="localhost"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        chain = self._sign(subject, key, names, critical=False).public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private, chain

    def _sign(self, subject, key, extension, *, critical):
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(subject_name=subject, issuer_name=self.name, public_key=key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).add_extension(extension, critical=critical)
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        return builder.sign(self.key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority():
    return Authority()


def read_x(worker, credentials):
    with connect(f"localhost:{worker.worker.port}", credentials=credentials, deadline=10) as client:
        session = client.session("ada")
        session["x"] = 1
        return session["x"]


def test_a_client_that_trusts_the_servers_authority_speaks_to_it_by_tls(start_worker, authority):
    key, chain = authority.issue()
    worker = start_worker(certificates=Certificates(key=key, chain=chain))
    assert read_x(worker, grpc.ssl_channel_credentials(root_certificates=authority.pem)) == 1
    with pytest.raises(Unavailable):
        read_x(worker, grpc.ssl_channel_credentials(root_certificates=Authority().pem))
    with pytest.raises(Unavailable):
        read_x(worker, None)


def test_a_server_that_asks_for_a_clients_certificate_takes_only_its_authoritys(start_worker, authority):
    key, chain = authority.issue()
    worker = start_worker(certificates=Certificates(key=key, chain=chain, client_ca=authority.pem))
    mine, strangers = authority.issue("client"), Authority().issue("client")
    assert read_x(worker, grpc.ssl_channel_credentials(authority.pem, *mine)) == 1
    with pytest.raises(Unavailable):
        read_x(worker, grpc.ssl_channel_credentials(authority.pem))
    with pytest.raises(Unavailable):
        read_x(worker, grpc.ssl_channel_credentials(authority.pem, *strangers))


@pytest.mark.parametrize(
    ("files", "says"),
    [({"certificate": Path("a")}, "both --tls-cert and --tls-key"), ({"key": Path("a")}, "both --tls-cert")],
)
def test_half_of_what_tls_needs_is_a_sentence(files, says):
    with pytest.raises(lmtest.ConfigurationError, match=says):
        read_certificates(**({"certificate": None, "key": None, "client_ca": None} | files))


def test_a_file_that_is_not_there_is_a_sentence_and_exit_code_2(tmp_path):
    result = subprocess.run(
        [*COMMAND, "serve", "--lm-mode", "mock", "--tokens", "nowhere.toml"],
        cwd=tmp_path,
        env=NO_KEYS,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "--tokens 'nowhere.toml' cannot be read: No such file or directory." in result.stderr
