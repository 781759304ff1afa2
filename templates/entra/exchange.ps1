{%- if own_file -%}
#Requires -Version 5.1
# What [app.{{ name }}] of footbridge.toml needs in Exchange Online, which the Azure CLI does not reach. Written by
# `footbridge setup entra --az`. You need the role Exchange Administrator. It may be run as often as you like.
param(
    [Parameter(Mandatory)] [string] $AppId,    # the registration's application (client) ID
    [Parameter(Mandatory)] [string] $ObjectId, # the object id of the Enterprise application, not of the registration
    [Parameter(Mandatory)] [string] $TenantId
)
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

if (-not (Get-Module -ListAvailable -Name 'ExchangeOnlineManagement')) {
    throw 'The module ExchangeOnlineManagement is not there: Install-Module ExchangeOnlineManagement -Scope CurrentUser'
}
Connect-ExchangeOnline -ExchangeEnvironmentName {{ environment }} -ShowBanner:$false
# Commands go by the last connection of a window that may have several.
$connections = @(Get-ConnectionInformation | Where-Object { $_.State -eq 'Connected' })
if ($connections.Count -eq 0 -or ($connections | Where-Object { $_.TenantID -ne $TenantId })) {
    throw "Exchange Online is signed in to for another tenant than $TenantId, now or by a connection of before: Disconnect-ExchangeOnline, and run this again"
}

{% endif -%}
{% if let Some(group) = group -%}
# The group whose members are the mailboxes of wildcards{% if group_sends %} and of the role{% endif %}.
$group = Get-DistributionGroup -Identity {{ group }}
$members = @(Get-DistributionGroupMember -Identity $group.DistinguishedName -ResultSize Unlimited | Where-Object { "$($_.RecipientTypeDetails)" -like '*Mailbox' } | ForEach-Object { "$($_.PrimarySmtpAddress)" })
Confirm-Step ($members.Count -gt 0) "group $($group.PrimarySmtpAddress) with $($members.Count) mailboxes" 'add the mailboxes to it'

{% endif -%}
{% if principal -%}
# Exchange's own entry for the app, by the object id of the Enterprise application. That of the registration, which
# the portal shows first, would be taken as well, and every login would fail.
$entry = @(Get-ServicePrincipal | Where-Object { "$($_.AppId)" -eq $appId })
if ($entry.Count -eq 0) {
    $entry = @(New-ServicePrincipal -AppId $appId -ObjectId $objectId -DisplayName {{ display_name }})
}
Confirm-Step (@("$($entry[0].ObjectId)", "$($entry[0].ServiceId)") -contains $objectId) 'Exchange knows the app by its Enterprise application' "another object id stands there: Remove-ServicePrincipal -Identity $($entry[0].ObjectId), and run this again"

{% endif -%}
{% if !opened.is_empty() || group_opens -%}
# Full access for the app to the mailboxes of the mappings, and to no others.
$opened = @({% for mailbox in opened %}
    {{ mailbox }}{% endfor %}
){% if group_opens %}
$opened += $members{% endif %}
foreach ($mailbox in $opened) {
    try {
        $held = { Get-MailboxPermission -Identity $mailbox -User $objectId | Where-Object { "$($_.Deny)" -ne 'True' -and "$($_.AccessRights)" -match 'FullAccess' } }
        if (-not (& $held)) {
            Add-MailboxPermission -Identity $mailbox -User $objectId -AccessRights FullAccess | Out-Null
        }
        Confirm-Step ([bool] (& $held)) "the app opens $mailbox" 'run this again after some minutes'
    } catch {
        Confirm-Step $false "the app opens $mailbox" "$_"
    }
}

{% endif -%}
{% if rbac -%}
# The role by which the app sends, in the place of an application permission, and the mailboxes that it is for.
$senders = @({% for mailbox in senders %}
    {{ mailbox }}{% endfor %}
)
$role = 'Application SMTP.SendAsApp'
$scopeName = {{ display_name }} + ' senders'
$clauses = @({% if group_sends %}
    ('MemberOfGroup -eq ''{0}''' -f "$($group.DistinguishedName)".Replace('''', '''''')){% endif %}{% if names_senders %}
    $senders | ForEach-Object { 'EmailAddresses -eq ''smtp:{0}''' -f $_.Replace('''', '''''') }{% endif %}
)
$filter = $clauses -join ' -or '
$scope = Get-ManagementScope | Where-Object { $_.Name -eq $scopeName }
if (-not $scope) {
    New-ManagementScope -Name $scopeName -RecipientRestrictionFilter $filter | Out-Null
} elseif ($scope.RecipientFilter -ne $filter) {
    Set-ManagementScope -Identity $scopeName -RecipientRestrictionFilter $filter # the mailboxes of today
}
if (-not (Get-ManagementRoleAssignment -Role $role | Where-Object { $_.Name -eq $scopeName })) {
    New-ManagementRoleAssignment -Name $scopeName -Role $role -App $objectId -CustomResourceScope $scopeName | Out-Null
}{% if group_sends && senders.is_empty() %}
$senders += $members{% endif %}
foreach ($mailbox in $senders) {
    try {
        $allowed = Test-ServicePrincipalAuthorization -Identity $objectId -Resource $mailbox | Where-Object { $_.RoleName -eq $role -and "$($_.InScope)" -eq 'True' }
        Confirm-Step ([bool] $allowed) "the app sends as $mailbox" 'see to it that the role is for this mailbox{% if group_sends %}: is it in the group?{% endif %}'
    } catch {
        Confirm-Step $false "the app sends as $mailbox" "$_"
    }
}

{% endif -%}
{% if !app_senders.is_empty() -%}
# Send As for the app, for the senders that accounts may name beside their mailboxes.
$otherSenders = @({% for sender in app_senders %}
    {{ sender }}{% endfor %}
)
foreach ($address in $otherSenders) {
    try {
        $held = { Get-RecipientPermission -Identity $address -Trustee $objectId | Where-Object { "$($_.AccessRights)" -match 'SendAs' } }
        if (-not (& $held)) {
            Add-RecipientPermission -Identity $address -Trustee $objectId -AccessRights SendAs -Confirm:$false | Out-Null
        }
        Confirm-Step ([bool] (& $held)) "the app names $address as sender" 'run this again after some minutes'
    } catch {
        Confirm-Step $false "the app names $address as sender" "$_"
    }
}

{% endif -%}
{% if !high_volume.is_empty() -%}
# The accounts of High Volume Email that the app may use: by the object id of the Enterprise application, which is
# called AppIds here. An account has ten at most.
$accounts = @({% for account in high_volume %}
    {{ account }}{% endfor %}
)
foreach ($account in $accounts) {
    try {
        $allowed = { @((Get-HVEAccountSettings -Identity $account).AllowedApps | ForEach-Object { "$_" }) -contains $objectId }
        if (-not (& $allowed)) {
            Add-HVEAppAccess -Identity $account -AppIds $objectId | Out-Null
        }
        Confirm-Step (& $allowed) "the app sends as $account" 'run this again after five minutes'
    } catch {
        Confirm-Step $false "the app sends as $account" "$_"
    }
}

{% endif -%}
{% if !delegates.is_empty() -%}
# Mailboxes that somebody else opens: the mailbox, and who signs in for it.
$delegates = @({% for pair in delegates %}
    @{ Mailbox = {{ pair.0 }}; Person = {{ pair.1 }} }{% endfor %}
)
foreach ($pair in $delegates) {
    try {
        $held = { Get-MailboxPermission -Identity $pair.Mailbox -User $pair.Person | Where-Object { "$($_.Deny)" -ne 'True' -and "$($_.AccessRights)" -match 'FullAccess' } }
        if (-not (& $held)) {
            Add-MailboxPermission -Identity $pair.Mailbox -User $pair.Person -AccessRights FullAccess -AutoMapping $false | Out-Null
        }
        Confirm-Step ([bool] (& $held)) "$($pair.Person) opens $($pair.Mailbox)" 'run this again after some minutes'
    } catch {
        Confirm-Step $false "$($pair.Person) opens $($pair.Mailbox)" "$_"
    }
}

{% endif -%}
{% if !senders_as.is_empty() -%}
# Mailboxes that somebody else sends from: the mailbox, and who signs in for it.
$sendersAs = @({% for pair in senders_as %}
    @{ Mailbox = {{ pair.0 }}; Person = {{ pair.1 }} }{% endfor %}
)
foreach ($pair in $sendersAs) {
    try {
        $held = { Get-RecipientPermission -Identity $pair.Mailbox -Trustee $pair.Person | Where-Object { "$($_.AccessRights)" -match 'SendAs' } }
        if (-not (& $held)) {
            Add-RecipientPermission -Identity $pair.Mailbox -Trustee $pair.Person -AccessRights SendAs -Confirm:$false | Out-Null
        }
        Confirm-Step ([bool] (& $held)) "$($pair.Person) sends as $($pair.Mailbox)" 'run this again after some minutes'
    } catch {
        Confirm-Step $false "$($pair.Person) sends as $($pair.Mailbox)" "$_"
    }
}

{% endif -%}
{% for switch in switches -%}
# {{ switch.protocol }} is switched on for the mailboxes that use it.
$users = @({% for mailbox in switch.mailboxes %}
    {{ mailbox }}{% endfor %}
){% if switch.members %}
$users += $members{% endif %}
foreach ($mailbox in $users) {
    try {
{%- if let Some(enabled) = switch.enabled %}
        if (-not (Get-CASMailbox -Identity $mailbox).{{ enabled }}) {
            Set-CASMailbox -Identity $mailbox -{{ enabled }} $true
        }
        Confirm-Step ([bool] (Get-CASMailbox -Identity $mailbox).{{ enabled }}) "{{ switch.protocol }} is on for $mailbox" 'run this again after some minutes'
{%- else %}
        # Where the mailbox says nothing, the organisation's switch decides; that one stays as it is.
        $off = {
            $own = (Get-CASMailbox -Identity $mailbox).SmtpClientAuthenticationDisabled
            if ($null -eq $own) { [bool] (Get-TransportConfig).SmtpClientAuthenticationDisabled } else { [bool] $own }
        }
        if (& $off) {
            Set-CASMailbox -Identity $mailbox -SmtpClientAuthenticationDisabled $false
        }
        Confirm-Step (-not (& $off)) "{{ switch.protocol }} is on for $mailbox" 'run this again after some minutes'
{%- endif %}
    } catch {
        Confirm-Step $false "{{ switch.protocol }} is on for $mailbox" "$_"
    }
}

{% endfor -%}
{% if strangers -%}
# The mailboxes of a wildcard whose people show their own passwords are known to nobody here: their switches stay as
# they are. With --group ADDRESS those of its members are looked after.

{% endif -%}
{% if own_file -%}
if ($missing.Count -gt 0) {
    throw "$($missing.Count) of the checks failed: $($missing -join '; ')"
}
Write-Host 'Exchange Online is set up. Microsoft takes some minutes, for roles of Exchange up to two hours, to act on it; then: footbridge doctor'
{% endif -%}
