"""Run a command against a cloud on this machine: DynamoDB, S3, IAM, CloudFormation, Lambda, API Gateway.

Starts the MiniStack emulator with IAM enforced, sets AWS_ENDPOINT_URL and throw-away credentials for the
command, and stops the emulator when the command ends. Nothing else knows that it is not AWS.

Example:
  python utils/local_cloud.py -- aws dynamodb list-tables
  python utils/local_cloud.py --port 4567 -- bash
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 30  # the emulator takes 1 to 3


class LocalCloudError(Exception):
    """The emulator could not be started; the message says what to do."""


def emulator() -> None:
    """Run MiniStack 1.5.33 in this process, with what it does otherwise than AWS mended."""
    from ministack.services.cloudformation import changesets, engine, provisioners, stacks

    handlers = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    create, update, evaluate = handlers["create"], handlers["update"], engine._evaluate_conditions

    def as_api(props: dict[str, Any]) -> dict[str, Any]:
        # CloudFormation writes AllowOrigins, the service allowOrigins; without translation it refuses every preflight.
        cors = {name[0].lower() + name[1:]: value for name, value in props.get("CorsConfiguration", {}).items()}
        return {**props, "CorsConfiguration": cors} if cors else props

    def with_reachable_endpoint(result: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
        # Not every resolver knows the subdomains of localhost that it names.
        api_id, attributes = result
        endpoint = f"{os.environ['AWS_ENDPOINT_URL']}/_aws/execute-api/{api_id}"
        return api_id, {**attributes, "ApiEndpoint": endpoint}

    def evaluate_with_region(template: dict[str, Any], params: dict[str, Any]) -> Any:
        # Conditions don't see the pseudo parameters.
        return evaluate(template, {**params, "AWS::Region": {"Value": engine.get_region()}})

    handlers["create"] = lambda name, props, *rest: with_reachable_endpoint(create(name, as_api(props), *rest))
    handlers["update"] = lambda name, old, new, *rest, **named: with_reachable_endpoint(
        update(name, as_api(old), as_api(new), *rest, **named)
    )
    for module in (changesets, engine, stacks):
        module._evaluate_conditions = evaluate_with_region

    from ministack.app import main as run

    sys.argv = ["ministack"]
    run()


def cloud_environment(port: int) -> dict[str, str]:
    """Return this process's environment, but with AWS meaning the emulator on `port` and nothing else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@contextmanager
def local_cloud(port: int, log: Path) -> Iterator[dict[str, str]]:
    """Keep an emulator on `port` up, its output in `log`; yield the environment of its clients."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            another = "another with --port, or with PORT=4567 for make"
            raise LocalCloudError(f"port {port} is in use; free it or choose {another}") from None
    environment = cloud_environment(port)
    settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "AUTH": "true", "LOG_LEVEL": "INFO",
                "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0"}  # fmt: skip
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", "from utils.local_cloud import emulator; emulator()"],
            env={**environment, **settings, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the command; the emulator and its functions end together
        )
    try:
        _wait_until_up(process, port, log)
        yield environment
    finally:
        _stop(process)


def _wait_until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise LocalCloudError(f"the local cloud did not start; {log} says why")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
            process.wait(timeout=5)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue


def main() -> int:
    """Run the command line; return the command's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=4566, help="where the cloud listens (default: 4566)")
    parser.add_argument("--log", type=Path, default=ROOT / "build/local_cloud.log", help="the emulator's output")
    parser.add_argument("command", nargs="+", help="what to run, after --")
    arguments = parser.parse_args()
    if not 0 < arguments.port < 65536:
        parser.error(f"--port {arguments.port} is not between 1 and 65535")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cloud is stopped then, too
    try:
        with local_cloud(arguments.port, arguments.log) as environment:
            return subprocess.run(arguments.command, env=environment, check=False).returncode
    except LocalCloudError as error:
        print(f"local_cloud: {error}", file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        print(f"local_cloud: {error.filename}: no such command", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
