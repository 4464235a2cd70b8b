"""Test certificates, made by the openssl command: authorities, and what they sign for servers and clients."""

import subprocess
from pathlib import Path


def _openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Authority:
    """A certificate authority in a folder: `file` is its own certificate."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = Path(folder), name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file, self._key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", f"/CN=pgbraid test {name}", "-keyout", self._key, "-out", self.file)
        self._serial = 1

    def issue(self, name, common_name="localhost", names="DNS:localhost,IP:127.0.0.1", key="ec"):
        """Certificate and key, as paths: a new key each time, in files called `name`. `key`: ec or rsa."""
        certificate, private = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        kind = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if key == "ec" else ["rsa:2048"]
        _openssl("req", "-newkey", *kind, "-nodes", "-subj", f"/CN={common_name}", "-keyout", private, "-out", request)
        extensions.write_text(f"subjectAltName={names}\n" if names else "basicConstraints=CA:FALSE\n")
        self._serial += 1
        _openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._key, "-set_serial", self._serial,
                 "-days", "2", "-sha256", "-extfile", extensions, "-out", certificate)
        private.chmod(0o600)
        return certificate, private


def serial(certificate):
    """The serial number of a certificate file, as openssl prints it."""
    return subprocess.run(["openssl", "x509", "-noout", "-serial", "-in", str(certificate)], capture_output=True,
                          text=True, check=True).stdout.strip().split("=")[1]
