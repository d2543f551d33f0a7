"""What the service says of itself before anybody signs in: metadata, OpenID configuration; pure.

Shapes: docs/facts/azure.md 5; the names are those that azure-cli and Terraform's azurerm read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.cloud.settings import CloudKind, Settings

ADFS = "adfs"
ARM_RESOURCES = ("https://management.core.windows.net/", "https://management.azure.com/")
GRAPH_RESOURCE = "https://graph.microsoft.com"

_SUFFIX_OF: Mapping[CloudKind, str] = {
    CloudKind.PUBLIC: "core.windows.net",
    CloudKind.GOVERNMENT: "core.usgovcloudapi.net",
    CloudKind.CHINA: "core.chinacloudapi.cn",
}


def metadata(endpoint: str, settings: Settings) -> dict[str, Any]:
    """Return the body of `/metadata/endpoints`, every address in it our own.

    The login endpoint ends in "/adfs": only then does MSAL ask nobody else about it (docs/facts/azure.md 5).
    """
    suffix = _SUFFIX_OF[settings.kind]
    addresses = (
        "resourceManager", "portal", "gallery", "graph", "graphAudience", "batch", "media",
        "sqlManagement", "vmImageAliasDoc", "activeDirectoryDataLake", "microsoftGraphResourceId",
        "appInsightsResourceId", "logAnalyticsResourceId", "synapseAnalyticsResourceId",
        "attestationResourceId", "ossrdbmsResourceId", "appServiceResourceId",
        "appInsightsTelemetryChannelResourceId",
    )  # fmt: skip
    return {
        "name": settings.cloud.name,
        "authentication": {
            "loginEndpoint": f"{endpoint}/{ADFS}",
            "audiences": [endpoint, *ARM_RESOURCES],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        **dict.fromkeys(addresses, endpoint),
        "suffixes": {
            "storage": suffix,
            "keyVaultDns": f"vault.{suffix}",
            "acrLoginServer": f"azurecr.{suffix}",
            "sqlServerHostname": f"database.{suffix}",
            "azureDataLakeStoreFileSystem": f"azuredatalakestore.{suffix}",
            "azureDataLakeAnalyticsCatalogAndJob": f"azuredatalakeanalytics.{suffix}",
            "mhsmDns": f"managedhsm.{suffix}",
            "synapseAnalytics": f"dev.azuresynapse.{suffix}",
            "storageSyncEndpointSuffix": f"afs.{suffix}",
            "attestationEndpoint": f"attest.{suffix}",
        },
    }


def openid_configuration(endpoint: str, *, authority: str, tenant: str, second: bool) -> dict[str, Any]:
    """Return the OpenID configuration of an authority.

    Args:
        endpoint: the service's.
        authority: path of the authority: a tenant, "adfs" or "adfs/TENANT".
        tenant: as it stands in the issuer; Entra writes "{tenantid}" where it is not fixed.
        second: whether it is that of version 2.0.
    """
    base = f"{endpoint}/{authority}"
    version = "oauth2/v2.0" if second else "oauth2"
    return {
        "issuer": f"{endpoint}/{tenant}/v2.0" if second else f"{endpoint}/{tenant}/",
        "authorization_endpoint": f"{base}/{version}/authorize",
        "token_endpoint": f"{base}/{version}/token",
        "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
        "jwks_uri": f"{base}/discovery/v2.0/keys",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "response_modes_supported": ["query", "form_post"],
        "response_types_supported": ["code", "id_token", "token"],
        "grant_types_supported": [
            "client_credentials", "password", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "subject_types_supported": ["pairwise"],
        "scopes_supported": ["openid", "profile", "offline_access"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "nbf", "oid", "tid", "preferred_username", "name",
        ],
        "tenant_region_scope": None,
        "cloud_instance_name": endpoint.partition("://")[2],
    }  # fmt: skip


def instance_discovery(endpoint: str, *, tenant: str) -> dict[str, Any]:
    """Return the answer to an instance discovery about our own host."""
    host = endpoint.partition("://")[2]
    return {
        "tenant_discovery_endpoint": f"{endpoint}/{tenant}/v2.0/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    }


def user_realm(endpoint: str, user: str) -> dict[str, Any]:
    """Return what is said of a user's realm: passwords are checked here, not by a federation."""
    return {
        "ver": "1.0",
        "account_type": "Managed",
        "domain_name": user.rpartition("@")[2],
        "cloud_instance_name": endpoint.partition("://")[2],
        "cloud_audience_urn": "urn:federation:MicrosoftOnline",
    }
