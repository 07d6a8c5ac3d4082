"""A certificate authority of its own in a folder, made by openssl."""

import subprocess


def _openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Authority:
    def __init__(self, folder, name="Test"):
        self.folder, self.name = folder, name
        self.certificate, self.key = folder / f"{name}.ca.pem", folder / f"{name}.ca.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                 f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

    def issue(self, name, names):
        """(certificate, key) for "DNS:…,IP:…"."""
        key, request, certificate, extension = (self.folder / f"{self.name}.{name}.{end}" for end in ("key", "csr", "pem", "ext"))
        extension.write_text(f"subjectAltName={names}\n")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", key,
                 "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days", "2",
                 "-extfile", extension, "-out", certificate)
        return certificate, key
