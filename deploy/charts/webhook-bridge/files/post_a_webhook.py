"""`helm test`: a webhook signed as LiveKit signs is stored and answered 200; one whose body was changed is refused."""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid


def encode(raw: bytes) -> str:
    """Base64 as JWTs write it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def sign(body: bytes) -> str:
    """LiveKit's token for a webhook: HS256, with the body's hash among the claims."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    claims = {"iss": os.environ["LIVEKIT_API_KEY"], "exp": int(time.time()) + 300, "sha256": digest}
    signed = encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()) + "." + encode(json.dumps(claims).encode())
    return signed + "." + encode(hmac.digest(os.environ["LIVEKIT_API_SECRET"].encode(), signed.encode(), "sha256"))


def post(body: bytes, token: str) -> int:
    """Status of the answer."""
    request = urllib.request.Request(
        os.environ["SERVICE_URL"] + "/webhooks/livekit",
        data=body,
        headers={"Content-Type": "application/webhook+json", "Authorization": token},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


# An event that LiveKit doesn't have: it is stored, and nothing follows from it.
webhook = {"id": "EV_helm_test_" + uuid.uuid4().hex, "event": "helm_test", "createdAt": str(int(time.time()))}
body = json.dumps(webhook).encode()
token = sign(body)
for sent, expected in ((body, 200), (body, 200), (body + b" ", 401)):
    status = post(sent, token)
    if status != expected:
        sys.exit(f"answered {status}, not {expected}")
print("a signed webhook was taken, twice without harm, and a changed one refused")
