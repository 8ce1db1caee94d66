//! What a client hears of its requests.

use crate::core::{Completion, Done, Refusal, Request, Token};

pub(super) fn request_token(request: &Request) -> Option<Token> {
    match request {
        Request::Send { token, .. }
        | Request::Subscribe { token, .. }
        | Request::Unsubscribe { token, .. }
        | Request::Forget { token, .. }
        | Request::Settle { token, .. }
        | Request::Begin { token, .. }
        | Request::Commit { token, .. }
        | Request::Abort { token, .. } => *token,
        Request::Introduce { .. } => None,
        Request::Sync { token } => Some(*token),
    }
}

pub(super) fn answer(
    completions: &mut Vec<Completion>,
    token: Option<Token>,
    result: Result<Done, Refusal>,
) {
    if token.is_some() || result.is_err() {
        completions.push(Completion { token, result });
    }
}

/// Reports a refusal. Nobody needs to hear that a settlement without a token named what is gone: the
/// session checks what clients name, so it is a delivery that ended on its own.
pub(super) fn refuse(completions: &mut Vec<Completion>, token: Option<Token>, refusal: Refusal) {
    let gone = matches!(refusal, Refusal::NoDelivery | Refusal::NoSubscription);
    if token.is_some() || !gone {
        answer(completions, token, Err(refusal));
    }
}
