//! The providers' pages. Everything that comes from elsewhere goes through [`escape`].

use std::fmt::{self, Display, Write as _};

use crate::authorize::AuthorizeRequest;
use crate::profile::{Person, Profile};
use crate::request::Params;

/// Text inside HTML, or inside an attribute in double quotes.
pub(crate) fn escape(text: &str) -> Escaped<'_> {
    Escaped(text)
}

pub(crate) struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => out.write_str("&amp;")?,
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '"' => out.write_str("&quot;")?,
                '\'' => out.write_str("&#39;")?,
                other => out.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A page of a provider; `title` and `body` are HTML already.
fn page(profile: &Profile, title: &str, body: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} – {name}</title>
<link rel="stylesheet" href="/provider.css">
</head>
<body class="{theme}">
<main>
<p class="brand">{name}</p>
<h1>{title}</h1>
{body}
<p class="small">A demo provider on this computer. Nothing you do here leaves it.</p>
</main>
</body>
</html>
"#,
        name = profile.name,
        theme = profile.theme,
    )
}

/// Who is it? One button per person; the person hinted at comes first.
pub(crate) fn sign_in(profile: &Profile, wanted: &AuthorizeRequest, signed_in: Option<usize>, request: &str) -> String {
    let hint = wanted.login_hint.as_deref();
    let is_hinted = |person: &Person| hint.is_some_and(|hint| hint.eq_ignore_ascii_case(person.address));
    let mut order: Vec<(usize, &Person)> = profile.people.iter().enumerate().collect();
    order.sort_by_key(|(index, person)| (!is_hinted(person), Some(*index) != signed_in, *index));

    let mut notes = String::new();
    if let Some(hint) = hint
        && !profile.people.iter().any(is_hinted)
    {
        let _ = write!(notes, "<p class=\"note\">There is no account <strong>{}</strong> here.</p>", escape(hint));
    }
    if let Some(domain) = &wanted.domain {
        let _ = write!(notes, "<p>The application asks for an account of <strong>{}</strong>.</p>", escape(domain));
    }
    let mut buttons = String::new();
    for (index, person) in order {
        let mut badges = String::new();
        if is_hinted(person) {
            badges.push_str(" <span class=\"badge\">asked for</span>");
        }
        if Some(index) == signed_in {
            badges.push_str(" <span class=\"badge\">signed in</span>");
        }
        let _ = writeln!(
            buttons,
            "<li><button name=\"person\" value=\"{index}\"{class}><strong>{name}</strong>{badges}<br>{address}<br>\
             <small>{expect}</small></button></li>",
            class = if is_hinted(person) { " class=\"hinted\"" } else { "" },
            name = escape(person.name),
            address = escape(person.address),
            expect = escape(person.expect),
        );
    }
    let body = format!(
        r#"<p>You go on to <strong>Portal</strong>. Passwords are left out of this demo.</p>
{notes}
<form method="post" action="{action}">
<input type="hidden" name="request" value="{request}">
<ul class="people">
{buttons}</ul>
<button class="plain" name="cancel" value="1">Cancel</button>
</form>"#,
        action = escape(&profile.paths.sign_in),
        request = escape(request),
    );
    page(profile, "Choose an account", &body)
}

/// Asks before ending a session that the client has not proved to know.
pub(crate) fn confirm_sign_out(profile: &Profile, person: Option<&Person>, params: &Params) -> String {
    let mut hidden = String::new();
    for name in ["post_logout_redirect_uri", "state"] {
        if let Some(value) = params.get(name) {
            let _ = writeln!(hidden, "<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value));
        }
    }
    let body = format!(
        "<p>You are signed in as <strong>{who}</strong>.</p>\n<form method=\"post\" action=\"{action}\">\n\
         {hidden}<button class=\"plain\">Sign out</button>\n</form>",
        who = escape(person.map_or("somebody", |person| person.address)),
        action = escape(&profile.paths.sign_out),
    );
    page(profile, "Sign out?", &body)
}

pub(crate) fn signed_out(profile: &Profile) -> String {
    page(profile, "Signed out", "<p>Nobody is signed in at this provider now.</p>")
}

/// `/`: shows the provider's own session, which is what makes single sign-on work.
pub(crate) fn provider_home(profile: &Profile, person: Option<&Person>) -> String {
    let session = match person {
        Some(person) => format!(
            "<p>Signed in as <strong>{}</strong>: other applications will not ask again.</p>\
             <p><a href=\"{}\">Sign out here</a></p>",
            escape(person.address),
            escape(&profile.paths.sign_out)
        ),
        None => "<p>Nobody is signed in. Sign-in starts at the application.</p>".to_owned(),
    };
    let body = format!(
        "{session}<p><a href=\"{}\">Discovery document</a> of <code>{}</code></p>",
        escape(&profile.paths.discovery),
        escape(&profile.issuer)
    );
    page(profile, "Accounts", &body)
}

pub(crate) fn provider_problem(profile: &Profile, why: &str) -> String {
    page(profile, "That did not work", &format!("<p>{}</p>", escape(why)))
}
