#Requires -Version 5.1
# What [app.{{ common.name }}] of footbridge.toml needs in Microsoft Entra and Exchange Online. Written by `footbridge setup entra`.
#
# Read it, then run it as a file in a PowerShell window of its own. You need the roles Cloud Application Administrator
# (Entra) and Exchange Administrator. It looks before it makes anything, so that it may be run as often as you like;
# what is there stays, and nothing is deleted. Each step ends with a check that says OK or MISSING. A step that fails
# right behind another one often comes too early for Microsoft's servers: run it again after some minutes.
$ErrorActionPreference = 'Stop' # the first error ends it

# Every check ends here; what is missing is told again at the end.
$missing = New-Object System.Collections.Generic.List[string]
function Confirm-Step {
    param([bool] $Holds, [string] $What, [string] $Cure)
    if ($Holds) {
        Write-Host "OK       $What"
    } else {
        Write-Host "MISSING  $What - $Cure"
        $missing.Add($What)
    }
}

# The modules that it uses. It installs none itself.
foreach ($module in @('ExchangeOnlineManagement', 'Microsoft.Graph.Applications', 'Microsoft.Graph.Identity.SignIns')) {
    if (-not (Get-Module -ListAvailable -Name $module)) {
        throw "The module $module is not there: Install-Module $module -Scope CurrentUser"
    }
}

# Sign in, to both: Exchange Online first, whose module does not get on with what the other one has loaded.
$tenant = {{ common.tenant }}
Connect-ExchangeOnline -ExchangeEnvironmentName {{ exchange_cloud }} -ShowBanner:$false
Connect-MgGraph -Environment {{ cloud }} -TenantId $tenant -NoWelcome -Scopes @(
    'Application.ReadWrite.All'              # makes the registration
{%- if !common.roles.is_empty() %}
    'AppRoleAssignment.ReadWrite.All'        # consents to application permissions
{%- endif %}
{%- if !common.mail_scopes.is_empty() || !common.identity_scopes.is_empty() %}
    'DelegatedPermissionGrant.ReadWrite.All' # consents to delegated permissions
{%- endif %}
)
$tenantId = (Get-MgContext).TenantId
# Commands go by the last connection of a window that may have several.
$connections = @(Get-ConnectionInformation | Where-Object { $_.State -eq 'Connected' })
if ($connections.Count -eq 0 -or ($connections | Where-Object { $_.TenantID -ne $tenantId })) {
    throw "Exchange Online is signed in to for another tenant than $tenantId, now or by a connection of before: Disconnect-ExchangeOnline, and run this again"
}

{% if let Some(client_id) = common.client_id -%}
# The registration whose client id stands in the configuration.
$application = Get-MgApplication -Filter ("appId eq '{0}'" -f {{ client_id }})
if (-not $application) {
    throw 'This tenant has no registration with the client_id of the configuration: correct it or the tenant, or take it out to have a registration made'
}
{%- else -%}
# The registration. Single tenant: nobody of another organisation can use it.
$displayName = {{ common.display_name }}
$application = @(Get-MgApplication -All -Filter "displayName eq '$displayName'")
if ($application.Count -gt 1) {
    throw "Several registrations are called ${displayName}: write the client_id of the right one into the configuration"
}
if ($application.Count -eq 0) {
    $application = @(New-MgApplication -DisplayName $displayName -SignInAudience 'AzureADMyOrg')
}
$application = $application[0]
{%- endif %}
$appId = $application.AppId
Confirm-Step ($application.SignInAudience -eq 'AzureADMyOrg') "registration $($application.DisplayName), client id $appId, is for this tenant alone" 'choose "Single tenant only" at Authentication'

# The Enterprise application: the registration's presence in this tenant, to which permissions are given. It has an
# object id of its own, which is the one that Exchange wants.
$servicePrincipal = Get-MgServicePrincipal -Filter "appId eq '$appId'"
if (-not $servicePrincipal) {
    $servicePrincipal = New-MgServicePrincipal -AppId $appId
}
$objectId = $servicePrincipal.Id
Confirm-Step ([bool] $objectId) "Enterprise application, object id $objectId" 'run this again'

# The permissions, looked up by name at the APIs that have them.
$exchangeApi = Get-MgServicePrincipal -Filter "appId eq '00000002-0000-0ff1-ce00-000000000000'" # Office 365 Exchange Online
$graphApi = Get-MgServicePrincipal -Filter "appId eq '00000003-0000-0000-c000-000000000000'"    # Microsoft Graph
if (-not $exchangeApi) {
    throw 'This tenant has no Office 365 Exchange Online: it needs a licence with Exchange Online first'
}
$permissions = New-Object System.Collections.Generic.List[object]

# Application permissions: what the app may do by itself.
{%- if common.roles.is_empty() %} None is needed.{% endif %}
$roles = @({% for role in common.roles %}
    {{ role }}{% endfor %}
)
foreach ($value in $roles) {
    $role = $exchangeApi.AppRoles | Where-Object { $_.Value -eq $value }
    if (-not $role) { throw "Office 365 Exchange Online has no application permission $value" }
    $permissions.Add(@{ Value = $value; Id = $role.Id; Type = 'Role'; Api = $exchangeApi })
}

# Delegated permissions: what it may do for somebody who signs in. Those for mail are of Exchange Online, for whose
# servers the tokens are; Microsoft Graph has them by the same names, where Exchange Online should not list one.
{%- if common.mail_scopes.is_empty() %} None is needed.{% endif %}
$mailScopes = @({% for scope in common.mail_scopes %}
    {{ scope }}{% endfor %}
)
foreach ($value in $mailScopes) {
    $api = $exchangeApi
    $scope = $api.Oauth2PermissionScopes | Where-Object { $_.Value -eq $value }
    if (-not $scope) {
        $api = $graphApi
        $scope = $api.Oauth2PermissionScopes | Where-Object { $_.Value -eq $value }
    }
    if (-not $scope) { throw "Neither Office 365 Exchange Online nor Microsoft Graph has a delegated permission $value" }
    $permissions.Add(@{ Value = $value; Id = $scope.Id; Type = 'Scope'; Api = $api })
}

# Delegated permissions of Microsoft Graph: who signed in, and tokens that last without them.
{%- if common.identity_scopes.is_empty() %} None is needed.{% endif %}
$identityScopes = @({% for scope in common.identity_scopes %}
    {{ scope }}{% endfor %}
)
foreach ($value in $identityScopes) {
    $scope = $graphApi.Oauth2PermissionScopes | Where-Object { $_.Value -eq $value }
    if (-not $scope) { throw "Microsoft Graph has no delegated permission $value" }
    $permissions.Add(@{ Value = $value; Id = $scope.Id; Type = 'Scope'; Api = $graphApi })
}

# The registration asks for them, beside what it asks for already.
$required = @{}
foreach ($api in $application.RequiredResourceAccess) {
    $required[$api.ResourceAppId] = @($api.ResourceAccess | ForEach-Object { @{ Id = $_.Id; Type = $_.Type } })
}
$changed = $false
foreach ($permission in $permissions) {
    $api = $permission.Api.AppId
    if (-not $required.ContainsKey($api)) { $required[$api] = @() }
    if (-not ($required[$api] | Where-Object { $_.Id -eq $permission.Id })) {
        $required[$api] += @{ Id = $permission.Id; Type = $permission.Type }
        $changed = $true
    }
}
if ($changed) {
    $access = @($required.Keys | ForEach-Object { @{ ResourceAppId = $_; ResourceAccess = $required[$_] } })
    Update-MgApplication -ApplicationId $application.Id -RequiredResourceAccess $access
}

# Admin consent: to each application permission on its own ...
foreach ($permission in ($permissions | Where-Object { $_.Type -eq 'Role' })) {
    $granted = { Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $objectId -All | Where-Object { $_.AppRoleId -eq $permission.Id -and $_.ResourceId -eq $permission.Api.Id } }
    if (-not (& $granted)) {
        New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $objectId -PrincipalId $objectId -ResourceId $permission.Api.Id -AppRoleId $permission.Id | Out-Null
    }
    Confirm-Step ([bool] (& $granted)) "application permission $($permission.Value), with admin consent" 'grant it at API permissions'
}

# ... and to the delegated ones of an API together, for everybody: each can open with them what they can open anyway.
foreach ($api in ($permissions | Where-Object { $_.Type -eq 'Scope' } | ForEach-Object { $_.Api } | Sort-Object -Property Id -Unique)) {
    $wanted = @($permissions | Where-Object { $_.Type -eq 'Scope' -and $_.Api.Id -eq $api.Id } | ForEach-Object { $_.Value })
    $grant = { Get-MgOauth2PermissionGrant -All -Filter "clientId eq '$objectId' and resourceId eq '$($api.Id)' and consentType eq 'AllPrincipals'" }
    $given = & $grant
    if (-not $given) {
        New-MgOauth2PermissionGrant -ClientId $objectId -ConsentType 'AllPrincipals' -ResourceId $api.Id -Scope ($wanted -join ' ') | Out-Null
    } else {
        $all = @(@("$($given.Scope)" -split ' ') + $wanted | Where-Object { $_ } | Select-Object -Unique)
        if ($wanted | Where-Object { @("$($given.Scope)" -split ' ') -notcontains $_ }) {
            Update-MgOauth2PermissionGrant -OAuth2PermissionGrantId $given.Id -Scope ($all -join ' ')
        }
    }
    $given = @("$((& $grant).Scope)" -split ' ')
    foreach ($value in $wanted) {
        Confirm-Step ($given -contains $value) "delegated permission $value, with admin consent" 'grant it at API permissions'
    }
}
{% if common.smtp_rbac %}
# A role of Exchange takes the place of SMTP.SendAsApp. With the permission in its tokens Exchange would ask for full
# access to each mailbox as well.
$sendAsApp = $exchangeApi.AppRoles | Where-Object { $_.Value -eq 'SMTP.SendAsApp' }
$forbidden = @(Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $objectId -All | Where-Object { $_.AppRoleId -eq $sendAsApp.Id })
Confirm-Step ($forbidden.Count -eq 0) 'the application permission for SMTP is not granted, as the role takes its place' 'remove it at API permissions, and its consent at the Enterprise application'
{% endif %}
{%- if let Some(certificate) = common.certificate %}
# What the app proves itself with: the public half of its certificate, which ends on {{ certificate.end }}. The key stays
# where the bridge runs.
$certificateName = {{ certificate.name }}
$known = {
    (Get-MgApplication -ApplicationId $application.Id).KeyCredentials | Where-Object {
        $_.DisplayName -eq $certificateName -or ($_.CustomKeyIdentifier -and [BitConverter]::ToString($_.CustomKeyIdentifier).Replace('-', '') -eq {{ certificate.thumbprint }})
    }
}
if (-not (& $known)) {
    $added = @{ Type = 'AsymmetricX509Cert'; Usage = 'Verify'; DisplayName = $certificateName; Key = [Convert]::FromBase64String({{ certificate.base64 }}) }
    $kept = @((Get-MgApplication -ApplicationId $application.Id).KeyCredentials | Where-Object { $_ })
    Update-MgApplication -ApplicationId $application.Id -KeyCredentials ($kept + $added)
}
Confirm-Step ([bool] (& $known)) 'certificate with thumbprint {{ certificate.hexadecimal }}' 'upload it at Certificates & secrets'
{% endif %}
{%- if common.secret %}
# What the app proves itself with: a client secret for a year. One that was made here before is used while it lasts
# for another month. Its value is shown once, now: {% if common.login_secret %}it is the
# password that mail programs log in with.{% else %}keep it
# where the configuration says, and nowhere else.{% endif %}
$lasting = {
    (Get-MgApplication -ApplicationId $application.Id).PasswordCredentials | Where-Object { $_.DisplayName -eq 'footbridge' -and $_.EndDateTime -gt (Get-Date).AddDays(30) } | Sort-Object -Property EndDateTime | Select-Object -Last 1
}
$secretEnd = (& $lasting).EndDateTime
if (-not $secretEnd) {
    $made = Add-MgApplicationPassword -ApplicationId $application.Id -PasswordCredential @{ DisplayName = 'footbridge'; EndDateTime = (Get-Date).AddYears(1) }
    Write-Host "SECRET   $($made.SecretText)"
    $secretEnd = $made.EndDateTime # looked up again it may not be there yet
}
Confirm-Step ([bool] $secretEnd) 'client secret' 'make one at Certificates & secrets'
{% endif %}
{%- if common.federated %}
# The app proves itself with the token of a workload. Its issuer and subject belong into the registration: at
# Certificates & secrets > Federated credentials, as docs/entra.md says.
Confirm-Step ([bool] (Get-MgApplicationFederatedIdentityCredential -ApplicationId $application.Id)) 'federated credential' 'add one at Certificates & secrets > Federated credentials'
{% endif %}
{%- if let Some(redirect) = common.redirect %}
# Where browsers come back to with a code, {% if common.public %}as a mobile and desktop application: it has no secret to show{% else %}as a web application: it shows its secret or certificate there{% endif %}.
$redirect = {{ redirect }}
$application = Get-MgApplication -ApplicationId $application.Id
{% if common.public -%}
$uris = @($application.PublicClient.RedirectUris | Where-Object { $_ })
if ($uris -cnotcontains $redirect) {
    Update-MgApplication -ApplicationId $application.Id -PublicClient @{ RedirectUris = @($uris + $redirect) }
}
$uris = @((Get-MgApplication -ApplicationId $application.Id).PublicClient.RedirectUris)
{%- else -%}
$uris = @($application.Web.RedirectUris | Where-Object { $_ })
if ($uris -cnotcontains $redirect) {
    Update-MgApplication -ApplicationId $application.Id -Web @{ RedirectUris = @($uris + $redirect) }
}
$uris = @((Get-MgApplication -ApplicationId $application.Id).Web.RedirectUris)
{%- endif %}
Confirm-Step ($uris -ccontains $redirect) "redirect URI $redirect" 'add it at Authentication'
{% endif %}
{%- if common.public_flow %}
# Codes that are entered elsewhere, and passwords, come without a redirect URI: the registration has to say that it is
# a public client.
if (-not (Get-MgApplication -ApplicationId $application.Id).IsFallbackPublicClient) {
    Update-MgApplication -ApplicationId $application.Id -IsFallbackPublicClient:$true
}
Confirm-Step ([bool] (Get-MgApplication -ApplicationId $application.Id).IsFallbackPublicClient) 'public client flows are allowed' 'say Yes to "Allow public client flows" at Authentication'
{% endif %}
{{ exchange }}

# The finished table of footbridge.toml.
Write-Host ''
@({% for line in common.before %}
    {{ line }}{% endfor %}
    ('client_id = "' + $appId + '"'){% for line in common.after %}
    {{ line }}{% endfor %}{% if common.secret && !common.login_secret %}
    if ($secretEnd) { 'secret_expires = ' + $secretEnd.ToString('yyyy-MM-dd', [Globalization.CultureInfo]::InvariantCulture) }{% endif %}
) | ForEach-Object { Write-Host $_ }
Write-Host ''

if ($missing.Count -gt 0) {
    throw "$($missing.Count) of the checks failed: $($missing -join '; ')"
}
Write-Host 'All is set up. Microsoft takes some minutes, for roles of Exchange up to two hours, to act on it; then: footbridge doctor'
