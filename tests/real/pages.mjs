// The pages that people see at the authorization server. A browser walks them, and so does `walk.rs`, which knows forms only.

const safe = (text) => String(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

const page = (title, body) => `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>${safe(title)}</title></head>
<body><h1>${safe(title)}</h1>
${body}
</body>
</html>
`;

/** Who is it? `hint` is the user name that the application expects. */
export const login = (hint = '') => page('Sign in', `<form method="post">
<input type="text" name="login" value="${safe(hint)}" required autofocus>
<button type="submit" name="answer" value="yes">Next</button>
<button type="submit" name="answer" value="no" formnovalidate>Cancel</button>
</form>`);

export const consent = (user, application, scope = '') => page('Permissions requested', `
<p>${safe(application)} would like to do this for ${safe(user)}:</p>
<ul>${scope.split(' ').map((word) => `<li>${safe(word)}</li>`).join('')}</ul>
<form method="post">
<button type="submit" name="answer" value="yes">Accept</button>
<button type="submit" name="answer" value="no">Cancel</button>
</form>`);

/** `form` is oidc-provider's own, without buttons. */
export const code = (form, trouble = '') => page('Enter code', `<p>${safe(trouble)}</p>
${form}
<button type="submit" form="op.deviceInputForm">Next</button>`);

/** As `code`; the button that refuses sends a word of its own. */
export const confirm = (form, application, userCode) => page('Are you trying to sign in?', `<p>${safe(application)} shows the code ${safe(userCode)}.</p>
${form}
<button type="submit" form="op.deviceConfirmForm">Continue</button>
<button type="submit" form="op.deviceConfirmForm" name="abort" value="yes">Cancel</button>`);

export const done = () => page('You have signed in', '<p>You may close this window.</p>');

export const error = ({ error: word, error_description: description = '' }) =>
  page('Sorry', `<p>${safe(word)}: ${safe(description)}</p>`);
