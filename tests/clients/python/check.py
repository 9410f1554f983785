"""Runs the official Python client, unchanged, against a server that speaks Replicate's API.

Exits non-zero at the first thing that is not as the real service does it.
The run that is cancelled must last: a simulator should not be more than a hundred times faster than real.
Environment: REPLICATE_BASE_URL (this client wants it without /v1; both are taken), REPLICATE_API_TOKEN.
"""

import io
import os
import sys

import httpx
import replicate
from replicate.exceptions import ReplicateError
from replicate.pagination import paginate

MUSICGEN = "meta/musicgen:671ac645ce5e552cc63a54a2bbff63fcf798043055d2dac5fc9e36a837eedcfb"


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def bytes_of(url):
    response = httpx.get(str(url))
    check(response.status_code == 200, f"{url} answered {response.status_code}")
    check(int(response.headers["content-length"]) == len(response.content), "the length is right")
    return response.content, response.headers["content-type"]


def refused(call, status, text=""):
    try:
        call()
    except ReplicateError as error:
        check(error.status == status, f"expected {status}, got {error}")
        check(text in (error.detail or ""), f"expected {text!r} in {error.detail!r}")
        return
    raise AssertionError(f"expected an answer {status}")


def main():
    base = os.environ["REPLICATE_BASE_URL"].rstrip("/").removesuffix("/v1")
    client = replicate.Client(api_token=os.environ["REPLICATE_API_TOKEN"], base_url=base)
    client.poll_interval = 0.1

    check(client.accounts.current().username, "the account has a name")

    # Create, wait, read the output.
    pictures = client.run(
        "black-forest-labs/flux-schnell",
        input={"prompt": "a sunlit kitchen", "aspect_ratio": "16:9", "output_format": "png"},
    )
    check(len(pictures) == 1, "flux-schnell returns a list")
    image, kind = bytes_of(pictures[0])
    check(kind == "image/png", kind)

    # A file object as input goes through the files API.
    upload = io.BytesIO(image)
    upload.name = "first.png"
    clip = client.predictions.create(
        model="google/veo-3.1-fast",
        input={
            "prompt": "a slow dolly",
            "image": upload,
            "duration": 4,
            "resolution": "720p",
            "generate_audio": False,
        },
    )
    check(clip.version == "hidden" and clip.status == "starting", clip)
    check("/files/" in clip.input["image"], "the picture was uploaded through the files API")
    clip.wait()
    check(clip.status == "succeeded", clip.error)
    check(clip.metrics["video_output_duration_seconds"] == 4, clip.metrics)
    content, kind = bytes_of(clip.output)
    check(kind == "video/mp4" and content[4:8] == b"ftyp", kind)

    # A community model goes by its version.
    music = client.run(MUSICGEN, input={"prompt": "calm piano", "duration": 2}, wait=False)
    content, kind = bytes_of(music)
    check(kind == "audio/wav" and content[:4] == b"RIFF", kind)

    # Cancel.
    victim = client.predictions.create(model="google/veo-3.1", input={"prompt": "never mind"})
    victim.cancel()
    victim.wait()
    check(victim.status == "canceled", victim.status)

    # Refusals are explained.
    refused(
        lambda: client.predictions.create(
            model="google/veo-3.1", input={"prompt": "p", "aspect_ratio": "1:1"}
        ),
        422,
        "input.aspect_ratio must be one of",
    )
    refused(lambda: client.predictions.get("nosuchprediction"), 404)

    # List, every page of it.
    seen = {row.id for page in paginate(client.predictions.list) for row in page}
    check(clip.id in seen and victim.id in seen, "the list has what was created")

    # Files.
    file = client.files.create(io.BytesIO(b"hello"), filename="hello.txt", metadata={"purpose": "check"})
    check(file.size == 5 and file.metadata == {"purpose": "check"}, file)
    check(client.files.get(file.id).checksums["sha256"] == file.checksums["sha256"], "same file")
    check(file.id in [row.id for row in client.files.list()], "the list has the file")
    check(client.files.delete(file.id) is True, "the file is deleted")
    refused(lambda: client.files.get(file.id), 404)

    # Models, hardware, collections, deployments, webhook secret.
    model = client.models.get("google/veo-3.1-fast")
    check(model.latest_version.openapi_schema["components"]["schemas"]["Input"], "a schema")
    check(len(client.models.get("meta/musicgen").versions.list().results) == 1, "one version")
    check(len(client.hardware.list()) > 0, "hardware")
    check(len(client.collections.get("image-to-video").models) > 0, "a collection")
    deployment = client.deployments.get("acme/flux-schnell")
    deployed = deployment.predictions.create(input={"prompt": "a door"})
    deployed.wait()
    check(deployed.status == "succeeded", deployed.error)
    check(client.webhooks.default.secret().key.startswith("whsec_"), "a webhook secret")
    print("ok")


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        raise SystemExit(1) from error
