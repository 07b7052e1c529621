"""Certificates of the tests' own, for receivers that speak TLS."""

import ssl

import grpc
import trustme


class Certificate:
    """A certificate authority, and a certificate of it for one name.

    Args:
        name: The host that the certificate is for.
    """

    def __init__(self, name="localhost"):
        self._authority = trustme.CA()
        self._issued = self._authority.issue_cert(name)

    def write_authority(self, path):
        """Write the authority's certificate, which a client has to believe, to ``path``."""
        self._authority.cert_pem.write_to_path(str(path))
        return path

    def write_server(self, folder):
        """Write what a server shows to files; returns their paths as a collector names them."""
        files = {"cert_file": folder / "server.pem", "key_file": folder / "server.key"}
        files["cert_file"].write_bytes(b"".join(part.bytes() for part in self._issued.cert_chain_pems))
        files["key_file"].write_bytes(self._issued.private_key_pem.bytes())
        return files

    def server_context(self):
        """For a server of Python's ``ssl``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._issued.configure_cert(context)
        return context

    def grpc_credentials(self):
        """For a server of ``grpc``."""
        chain = b"".join(part.bytes() for part in self._issued.cert_chain_pems)
        return grpc.ssl_server_credentials([(self._issued.private_key_pem.bytes(), chain)])
