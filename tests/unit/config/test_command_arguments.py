"""A secret among a command's arguments is found; what only names one, or identifies something, is not."""

import base64
import random
import string
import uuid
from itertools import permutations

import pytest

from monitor.config.command_arguments import secret_in
from monitor.config.secrets import check_credential_reference
from monitor.errors import ConfigurationError

HEX = "5a1f0c3e9b7d2468ace013579bdf2468"
UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
MIXED = "wJalrXUtnFEMI7K7MDENGbPxRfiCYzEXKEYq83Zb"
AWS = "/usr/bin/aws secretsmanager get-secret-value"
# As the programs' own documentation has them, with names of ours.
HARMLESS = [
    "/usr/local/bin/token-of {tenant}",
    "/usr/bin/vault kv get -field=token secret/harvest/{tenant}",
    "/usr/bin/vault kv get -mount=secret -field=api-key -address=https://vault.example:8200 harvest/acme",
    "/usr/bin/vault read -field=token -namespace=admin/team auth/approle/role/harvest/role-id",
    f"/usr/bin/vault write -field=token auth/approle/login role_id={UUID} secret_id=@/run/secrets/approle",
    f"{AWS} --secret-id acme/harvest --query SecretString --output text",
    f"{AWS} --secret-id arn:aws:secretsmanager:us-east-1:123456789012:secret:acme/harvest-AbCdEf --output text",
    f"{AWS} --secret-id HarvestKeyOfAcme2026 --version-id {UUID}",
    "/usr/bin/aws ssm get-parameter --name /harvest/acme/key --with-decryption --query Parameter.Value --output text",
    "/usr/bin/aws --profile harvest-monitor-production --region eu-central-1 ssm get-parameter --name HarvestKeyAcme",
    f"/usr/bin/aws kms decrypt --key-id {UUID} --ciphertext-blob fileb:///etc/harvest/acme.enc --output text",
    "/usr/bin/op read op://Integrations/acme-harvest/credential",
    "/usr/bin/op item get h5zq3cmtnvr2y7lwpxj4kd6e5a --vault Integrations --fields label=password --reveal",
    "/usr/bin/op item get Harvest --vault=yhdg6ovhkjcfhn3u25cp2bnl6e --field password",
    "/usr/bin/gcloud secrets versions access latest --secret=acme-harvest --project=vendor-production-4711",
    "/usr/bin/gcloud secrets versions access projects/123456789012/secrets/AcmeHarvestKey2026/versions/7",
    "/usr/bin/gcloud secrets versions access 7 --secret acme_harvest_key --account=monitor@vendor.iam.example.com",
    "/usr/bin/gcloud secrets versions access 7 --secret=k8s-eu1-acme-v3",
    "/usr/bin/az keyvault secret show --vault-name vendor-kv --name acme-harvest --query value -o tsv",
    f"/usr/bin/az keyvault secret show --id https://vendor.vault.azure.net/secrets/acme/{HEX} --query value",
    f"/usr/bin/az keyvault secret show --vault-name kv --name acme --version {HEX}",
    "/usr/bin/pass show harvest/acme",
    "/usr/bin/gopass show --password harvest/acme",
    "/usr/bin/doppler secrets get ACME_HARVEST_KEY --plain --project harvest --config production",
    f"/usr/bin/bw get password {UUID}",
    '/usr/bin/sops --decrypt --extract ["acme"]["key"] /etc/harvest/keys.enc.yaml',
    "/usr/bin/age --decrypt --identity /etc/harvest/age.key /etc/harvest/acme.age",
    "/usr/bin/gpg --batch --quiet --passphrase-file /etc/harvest/passphrase --decrypt /etc/harvest/acme.gpg",
    "/usr/bin/openssl enc -d -aes-256-cbc -pbkdf2 -pass file:/etc/harvest/pass -in /etc/harvest/acme.enc",
    "/usr/bin/kubectl --namespace=harvest get secret acme-harvest -o jsonpath={.data.key}",
    "/usr/bin/kubectl get secret acme -o go-template={{.data.token|base64decode}}",
    "/usr/bin/curl -sf --unix-socket /run/agent.sock http://localhost/secrets/{tenant}",
    "/usr/bin/curl -sf -H @/etc/harvest/headers https://secrets.vendor.example/v1/harvest?tenant=acme&format=raw",
    "/usr/bin/curl --netrc-file /etc/harvest/netrc https://secrets.vendor.example/acme",
    "/usr/bin/ssh -i /etc/harvest/id_ed25519 secrets@vault.vendor.example get acme",
    f"/usr/bin/podman run --rm secrets.vendor.example/agent@sha256:{HEX}{HEX} acme",
    "/usr/bin/docker run --rm -u 1000:1000 agent:2026.11.30 acme",
    "/usr/bin/consul kv get -token-file=/etc/consul/token harvest/acme",
    "/usr/bin/etcdctl get --print-value-only --key=/etc/etcd/client.pem --cert=/etc/etcd/client.crt harvest/acme",
    "/nix/store/3kq9bz1l0m2v8p7x5c4d6f8g9h0j1k2l-vault-1.15/bin/vault kv get -field=key harvest/acme",
    "/usr/bin/jq -r .tenants.acme.token /run/secrets/tokens.json",
    "/usr/bin/env VAULT_ADDR=https://vault.example AWS_PROFILE=harvest /usr/local/bin/key-of acme",
    "/usr/bin/python3 -m vendor.secrets.harvest --customer-number 20261130471100 --environment production-eu-central-1",
    "/usr/bin/chamber read -q harvest ACME_API_KEY_GREENHOUSE_HARVEST_PRODUCTION",
    "/usr/bin/security find-generic-password -a harvest-monitor -s GreenhouseHarvestAcme -w",
    "/usr/bin/secret-tool lookup service greenhouse tenant acme key HarvestV3ClientSecret",
]
SECRETS = [
    f"--key={HEX}",
    f"-key={HEX}",
    f"--key {HEX}",
    f"key={HEX}",
    f"{HEX}-1",
    f"--harvest-key={HEX}-1",
    f"-H Authorization:Basic {MIXED}",
    f'-H "Authorization: Bearer {MIXED}"',
    f"-HAuthorization:{MIXED}",
    f"--header=Authorization:Bearer {MIXED}",
    "--header Authorization: Basic YWNtZTpwdw==",
    f"-H X-Vault-Token:{MIXED}",
    f"-H X-Api-Key: {MIXED}",
    "-H Cookie:session=acme-1",
    "https://user:hunter2@vault.example/acme",
    "https://acme:@vault.example/ --user=monitor --password=hunter2",
    f"https://{MIXED}@git.example/acme",
    f"https://vault.example/acme?token={HEX}",
    f"https://vault.example/acme?format=raw&api_key={MIXED}",
    "-u monitor:hunter2",
    "--user monitor:hunter2",
    "--password hunter2",
    "--passphrase=correct-horse",
    "--client-secret " + MIXED,
    f"--clientSecret={MIXED}",
    f"auth/approle/login role_id={UUID} secret_id={UUID}",
    f"--access-token {UUID}",
    f"-token=hvs.{MIXED}",
    f"login s.{MIXED[:24]}",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "glpat-x9Kd_2mPq7Rs4Tv8Wz1y",
    "--anything=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    MIXED,
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEX+KEYq83",
    f"VAULT_TOKEN={MIXED} acme",
    f"--env=HARVEST_KEY={HEX}",
    f"--data token={MIXED}",
    "-pass pass:hunter2-and-more",
]


@pytest.mark.parametrize("command", HARMLESS)
def test_what_names_a_secret_or_identifies_something_is_allowed(command: str) -> None:
    check_credential_reference(f"command:{command}")


@pytest.mark.parametrize("arguments", SECRETS)
def test_a_secret_among_the_arguments_is_refused_and_not_shown(arguments: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_credential_reference(f"command:/usr/local/bin/token {arguments}")
    said = str(caught.value)
    assert "looks like a secret" in said
    assert "keep it in a file" in said
    for part in (HEX, MIXED, UUID, "hunter2", "correct", "session"):
        assert part not in said


def test_random_secrets_are_found_however_they_were_made() -> None:
    """Of a thousand of each kind nearly all, unless it looks like a path; without a word for it, a UUID is an id."""
    source = random.Random(7)
    kinds = {
        "hex": lambda: source.randbytes(16).hex(),
        "base64": lambda: base64.b64encode(source.randbytes(24)).decode(),
        "base64url": lambda: base64.urlsafe_b64encode(source.randbytes(32)).decode().rstrip("="),
        "letters and digits": lambda: "".join(source.choices(string.ascii_letters + string.digits, k=32)),
        "uuid": lambda: str(uuid.UUID(bytes=source.randbytes(16))),
    }
    for kind, make in kinds.items():
        texts = [make() for _ in range(1000)]
        missed = [text for text in texts if secret_in([f"--token={text}"]) is None]
        assert len(missed) <= 40, (kind, len(missed), missed[:5])
        bare = sum(secret_in([text]) is not None for text in texts)
        assert bare >= (0 if kind == "uuid" else 700), (kind, bare)


def test_names_are_no_secrets_however_they_are_put_together() -> None:
    """As vendors name secrets: customer, place, environment, number, in any order and with any separator."""
    parts = ("acme", "k8s", "eu-west-1", "PROD", "v3", "Greenhouse", "harvest", "2026", "apikey", "x9")
    for first in permutations(parts, 4):
        for separator in ("-", "_", "/", "."):
            name = separator.join(first)
            assert secret_in([f"--secret={name}"]) is None, name
            assert secret_in(["--key", name, name]) is None, name
