#!/usr/bin/env bash
# What [app.{{ common.name }}] of footbridge.toml needs in Microsoft Entra, by the Azure CLI; and, as the Azure CLI does not
# reach Exchange Online, the PowerShell for what is needed there. Written by `footbridge setup entra --az`.
#
# Read it, then run it with bash. You need the role Cloud Application Administrator, and Exchange Administrator for its
# second part. It looks before it makes anything, so that it may be run as often as you like; what is there stays, and
# nothing is deleted. Each step ends with a check that says OK or MISSING. A step that fails right behind another one
# often comes too early for Microsoft's servers: run it again after some minutes.
set -euo pipefail # the first error ends it

# Every check ends here: what is looked for, what to do where it is not there, and what was found.
missing=0
confirm() {
  if [ -n "$3" ]; then
    printf 'OK       %s\n' "$1"
  else
    printf 'MISSING  %s - %s\n' "$1" "$2"
    missing=$((missing + 1))
  fi
}

# What a command of the Azure CLI finds; nothing where it finds nothing, which it calls None.
look() {
  local found
  found=$(az "$@" --output tsv --only-show-errors) || return
  if [ "$found" != None ]; then
    printf '%s' "$found"
  fi
}

give_up() {
  printf '%s\n' "$1" >&2
  exit 1
}

tenant={{ common.tenant }}
graph={{ graph }} # where Microsoft Graph is in this cloud
{%- if !common.roles.is_empty() || !common.mail_scopes.is_empty() || common.smtp_rbac %}
exchange_api=00000002-0000-0ff1-ce00-000000000000 # Office 365 Exchange Online, in every tenant
{%- endif %}
{%- if !common.mail_scopes.is_empty() || !common.identity_scopes.is_empty() %}
graph_api=00000003-0000-0000-c000-000000000000 # Microsoft Graph, in every tenant
{%- endif %}

# The cloud, and a sign-in to the tenant.
command -v az > /dev/null || give_up 'The Azure CLI is not there: https://learn.microsoft.com/cli/azure/install-azure-cli'
if [ "$(look cloud show --query name)" != {{ cloud }} ]; then
  az cloud set --name {{ cloud }}
fi
if ! az account show --output none 2> /dev/null; then
  az login --tenant "$tenant" --allow-no-subscriptions --output none
fi
tenant_id=$(look rest --method get --url "$graph/v1.0/organization" --query 'value[0].id')
domains=$(look rest --method get --url "$graph/v1.0/organization" --query 'value[0].verifiedDomains[].name')
printf '%s\n%s\n' "$tenant_id" "$domains" | grep -Fixq -- "$tenant" ||
  give_up "The Azure CLI is signed in to another tenant: az login --tenant $tenant --allow-no-subscriptions"

{% if let Some(client_id) = common.client_id -%}
# The registration whose client id stands in the configuration.
client_id={{ client_id }}
look ad app show --id "$client_id" --query appId > /dev/null ||
  give_up 'This tenant has no registration with the client_id of the configuration: correct it or the tenant, or take it out to have a registration made'
{%- else -%}
# The registration. Single tenant: nobody of another organisation can use it.
display_name={{ common.display_name }}
client_id=$(look ad app list --filter "displayName eq '$display_name'" --query '[].appId')
case $client_id in
  *$'\n'*) give_up "Several registrations are called $display_name: write the client_id of the right one into the configuration" ;;
  '') client_id=$(look ad app create --display-name "$display_name" --sign-in-audience AzureADMyOrg --query appId) ;;
esac
{%- endif %}
confirm "registration with client id $client_id is for this tenant alone" 'choose "Single tenant only" at Authentication' \
  "$(look ad app show --id "$client_id" --query "signInAudience=='AzureADMyOrg' && 'yes' || ''")"

# The Enterprise application: the registration's presence in this tenant, to which permissions are given. It has an
# object id of its own, which is the one that Exchange wants.
object_id=$(look ad sp list --filter "appId eq '$client_id'" --query '[0].id')
if [ -z "$object_id" ]; then
  object_id=$(look ad sp create --id "$client_id" --query id)
fi
confirm "Enterprise application, object id $object_id" 'run this again' "$object_id"

{% if !common.roles.is_empty() || !common.mail_scopes.is_empty() || !common.identity_scopes.is_empty() -%}
# Has the registration ask for a permission, which is looked up by its name: the id of an API, where it lists
# permissions of that kind, the kind, and the name.
permission_id=
ask_for() {
  permission_id=$(look ad sp show --id "$1" --query "$2[?value=='$4'].id | [0]")
  if [ -z "$permission_id" ]; then
    return 1
  fi
  local asked="requiredResourceAccess[?resourceAppId=='$1'].resourceAccess[] | [?id=='$permission_id'].id | [0]"
  if [ -z "$(look ad app show --id "$client_id" --query "$asked")" ]; then
    az ad app permission add --id "$client_id" --api "$1" --api-permissions "$permission_id=$3" --only-show-errors ||
      give_up "The registration cannot be given the permission $4"
  fi
}
{% endif %}
{%- if !common.roles.is_empty() %}
exchange_object_id=$(look ad sp show --id "$exchange_api" --query id || true)
[ -n "$exchange_object_id" ] || give_up 'This tenant has no Office 365 Exchange Online: it needs a licence with Exchange Online first'
{% endif %}
{%- if !common.roles.is_empty() %}
# Application permissions, what the app may do by itself, each with admin consent.
roles=({% for role in common.roles %}
  {{ role }}{% endfor %}
)
for value in "${roles[@]}"; do
  ask_for "$exchange_api" appRoles Role "$value" || give_up "Office 365 Exchange Online has no application permission $value"
  granted="value[?appRoleId=='$permission_id' && resourceId=='$exchange_object_id'].id | [0]"
  if [ -z "$(look rest --method get --url "$graph/v1.0/servicePrincipals/$object_id/appRoleAssignments" --query "$granted")" ]; then
    az rest --method post --url "$graph/v1.0/servicePrincipals/$object_id/appRoleAssignments" --output none \
      --body "$(printf '{"principalId":"%s","resourceId":"%s","appRoleId":"%s"}' "$object_id" "$exchange_object_id" "$permission_id")"
  fi
  confirm "application permission $value, with admin consent" 'grant it at API permissions' \
    "$(look rest --method get --url "$graph/v1.0/servicePrincipals/$object_id/appRoleAssignments" --query "$granted")"
done
{% endif %}
{%- if common.smtp_rbac %}
# A role of Exchange takes the place of SMTP.SendAsApp. With the permission in its tokens Exchange would ask for full
# access to each mailbox as well.
send_as_app=$(look ad sp show --id "$exchange_api" --query "appRoles[?value=='SMTP.SendAsApp'].id | [0]")
granted=$(look rest --method get --url "$graph/v1.0/servicePrincipals/$object_id/appRoleAssignments" --query "value[?appRoleId=='$send_as_app'].id | [0]")
confirm 'the application permission for SMTP is not granted, as the role takes its place' \
  'remove it at API permissions, and its consent at the Enterprise application' "$([ -n "$granted" ] || echo yes)"
{% endif %}
{%- if !common.mail_scopes.is_empty() || !common.identity_scopes.is_empty() %}
# Admin consent to a delegated permission of an API, for everybody: each can open with it what they can open anyway.
consent() {
  local api_object_id all id scope value=$2
  local grants="$graph/v1.0/servicePrincipals/$object_id/oauth2PermissionGrants"
  api_object_id=$(look ad sp show --id "$1" --query id)
  all="value[?consentType=='AllPrincipals' && resourceId=='$api_object_id']"
  id=$(look rest --method get --url "$grants" --query "$all.id | [0]")
  scope=$(look rest --method get --url "$grants" --query "$all.scope | [0]")
  if [ -z "$id" ]; then
    az rest --method post --url "$graph/v1.0/oauth2PermissionGrants" --output none \
      --body "$(printf '{"clientId":"%s","consentType":"AllPrincipals","resourceId":"%s","scope":"%s"}' "$object_id" "$api_object_id" "$value")"
  elif [[ " $scope " != *" $value "* ]]; then
    az rest --method patch --url "$graph/v1.0/oauth2PermissionGrants/$id" --output none \
      --body "$(printf '{"scope":"%s"}' "$scope $value")"
  fi
  scope=$(look rest --method get --url "$grants" --query "$all.scope | [0]")
  confirm "delegated permission $value, with admin consent" 'grant it at API permissions' \
    "$([[ " $scope " != *" $value "* ]] || echo yes)"
}
{% endif %}
{%- if !common.mail_scopes.is_empty() %}
# Delegated permissions for mail, what the app may do for somebody who signs in. They are of Exchange Online, for whose
# servers the tokens are; Microsoft Graph has them by the same names, where Exchange Online should not list one.
mail_scopes=({% for scope in common.mail_scopes %}
  {{ scope }}{% endfor %}
)
for value in "${mail_scopes[@]}"; do
  if ask_for "$exchange_api" oauth2PermissionScopes Scope "$value"; then
    consent "$exchange_api" "$value"
  elif ask_for "$graph_api" oauth2PermissionScopes Scope "$value"; then
    consent "$graph_api" "$value"
  else
    give_up "Neither Office 365 Exchange Online nor Microsoft Graph has a delegated permission $value"
  fi
done
{% endif %}
{%- if !common.identity_scopes.is_empty() %}
# Delegated permissions of Microsoft Graph: who signed in, and tokens that last without them.
identity_scopes=({% for scope in common.identity_scopes %}
  {{ scope }}{% endfor %}
)
for value in "${identity_scopes[@]}"; do
  ask_for "$graph_api" oauth2PermissionScopes Scope "$value" || give_up "Microsoft Graph has no delegated permission $value"
  consent "$graph_api" "$value"
done
{% endif %}
{%- if let Some(certificate) = common.certificate %}
# What the app proves itself with: the public half of its certificate, which ends on {{ certificate.end }}. The key stays
# where the bridge runs.
certificate_name={{ certificate.name }}
known="[?displayName=='$certificate_name' || customKeyIdentifier=='{{ certificate.hexadecimal }}' || customKeyIdentifier=='{{ certificate.encoded }}'].keyId | [0]"
if [ -z "$(look ad app credential list --id "$client_id" --cert --query "$known")" ]; then
  file=$(mktemp)
  trap 'rm -f "$file"' EXIT
  cat > "$file" << 'CERTIFICATE'
{% for line in certificate.pem %}{{ line }}
{% endfor %}CERTIFICATE
  az ad app credential reset --id "$client_id" --append --cert "@$file" --display-name "$certificate_name" --output none --only-show-errors
fi
confirm 'certificate with thumbprint {{ certificate.hexadecimal }}' 'upload it at Certificates & secrets' \
  "$(look ad app credential list --id "$client_id" --cert --query "$known")"
{% endif %}
{%- if common.secret %}
# What the app proves itself with: a client secret for a year. One that was made here before is used while it lasts
# for another month. Its value is shown once, now: {% if common.login_secret %}it is the
# password that mail programs log in with.{% else %}keep it
# where the configuration says, and nowhere else.{% endif %}
IFS=- read -r year month day <<< "$(date -u +%Y-%m-%d)"
if [ "$day" -gt 28 ]; then day=28; fi # which every month has
in_a_month=$(printf '%d-%02d-%s' $((year + 10#$month / 12)) $((10#$month % 12 + 1)) "$day")
in_a_year=$((year + 1))-$month-$day
secret_end=$(look ad app credential list --id "$client_id" --query "[?displayName=='footbridge'].endDateTime | sort(@) | [-1]")
secret_end=${secret_end%%T*}
if [[ "$secret_end" < "$in_a_month" ]]; then
  secret_end=
  secret=$(look ad app credential reset --id "$client_id" --append --display-name footbridge --end-date "$in_a_year" --query password)
  if [ -n "$secret" ]; then
    printf 'SECRET   %s\n' "$secret"
    secret_end=$in_a_year
  fi
fi
confirm "client secret${secret_end:+, which ends on $secret_end}" 'make one at Certificates & secrets' "$secret_end"
{% endif %}
{%- if common.federated %}
# The app proves itself with the token of a workload. Its issuer and subject belong into the registration: at
# Certificates & secrets > Federated credentials, as docs/entra.md says.
confirm 'federated credential' 'add one at Certificates & secrets > Federated credentials' \
  "$(look ad app federated-credential list --id "$client_id" --query '[0].id')"
{% endif %}
{%- if let Some(redirect) = common.redirect %}
# Where browsers come back to with a code, {% if common.public %}as a mobile and desktop application: it has no secret to show{% else %}as a web application: it shows its secret or certificate there{% endif %}.
redirect={{ redirect }}
registered() {
  look ad app show --id "$client_id" --query '{% if common.public %}publicClient{% else %}web{% endif %}.redirectUris'
}
if ! registered | grep -Fxq -- "$redirect"; then
  uris=("$redirect")
  while IFS= read -r uri; do
    if [ -n "$uri" ]; then uris+=("$uri"); fi
  done <<< "$(registered)"
  az ad app update --id "$client_id" --{% if common.public %}public-client{% else %}web{% endif %}-redirect-uris "${uris[@]}"
fi
confirm "redirect URI $redirect" 'add it at Authentication' "$(registered | grep -Fx -- "$redirect" || true)"
{% endif %}
{%- if common.public_flow %}
# Codes that are entered elsewhere, and passwords, come without a redirect URI: the registration has to say that it is
# a public client.
if [ -z "$(look ad app show --id "$client_id" --query "isFallbackPublicClient && 'yes' || ''")" ]; then
  az ad app update --id "$client_id" --is-fallback-public-client true
fi
confirm 'public client flows are allowed' 'say Yes to "Allow public client flows" at Authentication' \
  "$(look ad app show --id "$client_id" --query "isFallbackPublicClient && 'yes' || ''")"
{% endif %}
# What is left is in Exchange Online, which only PowerShell reaches. It is written to a file, and run where PowerShell 7
# is at hand, as it is in Azure Cloud Shell.
script='footbridge-{{ common.name }}-exchange.ps1'
cat > "$script" << 'EXCHANGE'
{{ exchange }}
EXCHANGE
left=yes
if command -v pwsh > /dev/null; then
  left=
  pwsh -NoProfile -File "$script" -AppId "$client_id" -ObjectId "$object_id" -TenantId "$tenant_id" || missing=$((missing + 1))
fi

# The finished table of footbridge.toml.
echo
printf '%s\n'{% for line in common.before %} \
  {{ line }}{% endfor %} \
  "client_id = \"$client_id\""{% for line in common.after %} \
  {{ line }}{% endfor %}{% if common.secret && !common.login_secret %} \
  ${secret_end:+"secret_expires = $secret_end"}{% endif %}
echo

if [ -n "$left" ]; then
  echo 'Half of it is left: Exchange Online, where PowerShell is not at hand here. Now run, where PowerShell is:'
  printf '  pwsh -File %s -AppId %s -ObjectId %s -TenantId %s\n' "$script" "$client_id" "$object_id" "$tenant_id"
fi
if [ "$missing" -gt 0 ]; then
  give_up "$missing of the checks failed: see above"
fi
[ -n "$left" ] || echo 'All is set up. Microsoft takes some minutes, for roles of Exchange up to two hours, to act on it; then: footbridge doctor'
