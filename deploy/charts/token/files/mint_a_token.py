"""`helm test`: a stranger is refused; a service key with the scope tokens:participant is given a token for the meeting it names."""

import base64
import json
import os
import sys
import urllib.error
import urllib.request

MEETING = "helm-test"
BODY = {"userId": "helm-test", "userName": "helm test"}


def ask(credential: str) -> tuple[int, dict[str, str]]:
    """Status and answer of a request for a token."""
    request = urllib.request.Request(
        os.environ["SERVICE_URL"] + "/v1/meetings/" + MEETING + "/tokens",
        data=json.dumps(BODY).encode(),
        headers={"Content-Type": "application/json", "Authorization": "Bearer " + credential},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, {}


status, _ = ask("nobody's key")
if status != 401:
    sys.exit(f"a stranger was answered {status}, not 401")
print("a stranger is refused")

key = os.environ.get("SERVICE_KEY")
if not key:
    print("no service key is at hand, so no token was minted")
    sys.exit()

status, answer = ask(key)
if status != 201:
    sys.exit(f"a service key was answered {status}, not 201")
claims = json.loads(base64.urlsafe_b64decode(answer["participantToken"].split(".")[1] + "=="))
if answer["roomName"] != MEETING or claims["video"]["room"] != MEETING or claims["sub"] != BODY["userId"]:
    sys.exit("the token is for another room or person")
print("a token was minted for the right room and person")
