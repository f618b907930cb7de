//! One assertion consumer service of several connectors: a registration that was made once and given to many tenants
//! posts all their responses to one address. What is chosen here is who judges, and nothing else: whoever does takes
//! nothing that its own provider did not sign for it (S22).

use futures_util::future::join_all;
use http::header::HeaderMap;

use crate::connector::{Provider, ProviderError, Reason, SamlProvider};
use crate::explain::Step;

use super::attempt::connector_of;
use super::{Failed, SignIn, Visitor};

impl SignIn {
    /// Those that responses at the assertion consumer service of `at` may be for, itself among them.
    fn sharing<'a>(&'a self, at: &'a SamlProvider) -> impl Iterator<Item = &'a SamlProvider> {
        let all = self.providers().filter_map(Provider::saml).map(|saml| &**saml);
        all.filter(|one| one.acs_url() == at.acs_url())
    }

    /// The connector that this browser's attempt began at, of those that share the assertion consumer service of `at`.
    /// Without such an attempt: `at`.
    pub fn began_at<'a>(
        &'a self,
        at: &'a SamlProvider,
        relay_state: Option<&str>,
        headers: &HeaderMap,
    ) -> &'a SamlProvider {
        let began = relay_state.and_then(|state| connector_of(state, headers, &self.cookies, &self.sealer));
        began.and_then(|id| self.sharing(at).find(|one| one.id().as_str() == id)).unwrap_or(at)
    }

    /// The connector whose provider `response` says that it is from, of those that share the assertion consumer service
    /// of `at`; for a response that no attempt of this browser waits for. Nothing of it is verified. One event is recorded
    /// for a refusal (G6).
    ///
    /// # Errors
    /// It answers no request, and is from nobody known, or from a provider that several of the connectors have: nothing
    /// says at which of them a sign-in should begin. Or a provider's metadata cannot be had, and none of the others' is it.
    pub async fn named_by<'a>(
        &'a self,
        at: &'a SamlProvider,
        response: &str,
        visitor: Visitor<'_>,
    ) -> Result<&'a SamlProvider, Failed> {
        let sharing: Vec<&SamlProvider> = self.sharing(at).collect();
        if sharing.len() < 2 {
            return Ok(at);
        }
        // What cannot be read is refused in the same words wherever it is judged.
        let Ok(said) = at.peek(response) else { return Ok(at) };
        let issuer = said.issuer.unwrap_or_default();
        let mut named = Vec::new();
        let mut away = None;
        let known = join_all(sharing.iter().map(|one| one.idp_entity_id())).await;
        for (one, known) in sharing.into_iter().zip(known) {
            match known {
                Ok(entity_id) if entity_id == issuer => named.push(one),
                Ok(_) => {}
                Err(error) => away = Some(error),
            }
        }
        let expected = "the entity id that exactly one connector of this acs_url has";
        let cause = match (named.as_slice(), away) {
            ([one], _) => return Ok(one),
            // A stale answer: the page says so, whoever's it was.
            _ if said.in_response_to.is_some() => return Ok(at),
            ([], Some(away)) => away,
            ([], None) => ProviderError::new(Reason::IdpMixup).saying(expected, &issuer),
            _ => ProviderError::new(Reason::SamlUnsolicited).saying(expected, &issuer),
        };
        let failed = Failed { anybody: true, ..Failed::because(cause) };
        self.rejected(Step::Callback, visitor, None, &failed);
        Err(failed)
    }
}
