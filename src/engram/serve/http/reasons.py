"""Says in plain words why a host could not be reached."""

from __future__ import annotations

import errno
import os
import ssl

import aiohttp

WORDS = {errno.ECONNREFUSED: "connection refused", errno.ETIMEDOUT: "timed out", errno.ECONNRESET: "connection reset"}


def reason_of(error: Exception) -> str:
    """Return why a request failed, without the names of the library's internals."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the host {error.host} was not found"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        why = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else "it is not valid"
        return f"the certificate of {error.host}:{error.port} was refused: {why}"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        why = WORDS.get(number) or os.strerror(number) if number else "no connection"
        return f"{error.host}:{error.port}: {why}"
    return str(error) or type(error).__name__
