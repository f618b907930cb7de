//! What may be found about a row, and what to do about it.

use crate::base::clock::Timestamp;
use crate::base::email::EmailDomain;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Somebody cannot sign in, or a script stops, after the cut-over.
    Blocks,
    /// It works, and somebody has to choose: the person at sign-in, or you before.
    Choice,
    /// Good to know.
    Note,
}

impl Severity {
    /// The word in every format.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Choice => "choice",
            Self::Note => "note",
        }
    }
}

/// What was found; the word is stable.
#[expect(missing_docs, reason = "`meaning` says what each is")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    UpnDiffers,
    AliasOnly,
    CaseDiffers,
    OtherDomain,
    NoCounterpart,
    DisabledAtProvider,
    Guest,
    DuplicateAtProvider,
    MalformedAddress,
    NativeUserIsAddress,
    AppAddressInOtherDomain,
    DuplicateInAccount,
    DuplicateAcrossAccounts,
    ContactNotUnique,
    NoAddress,
    MeetsProviderWithin,
}

impl Code {
    /// Every code, in the order in which a report lists them.
    pub const ALL: [Self; 16] = [
        Self::UpnDiffers,
        Self::AliasOnly,
        Self::CaseDiffers,
        Self::OtherDomain,
        Self::NoCounterpart,
        Self::DisabledAtProvider,
        Self::Guest,
        Self::DuplicateAtProvider,
        Self::MalformedAddress,
        Self::NativeUserIsAddress,
        Self::AppAddressInOtherDomain,
        Self::DuplicateInAccount,
        Self::DuplicateAcrossAccounts,
        Self::ContactNotUnique,
        Self::NoAddress,
        Self::MeetsProviderWithin,
    ];

    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::UpnDiffers => "upn_differs",
            Self::AliasOnly => "alias_only",
            Self::CaseDiffers => "case_differs",
            Self::OtherDomain => "other_domain",
            Self::NoCounterpart => "no_counterpart",
            Self::DisabledAtProvider => "disabled_at_provider",
            Self::Guest => "guest",
            Self::DuplicateAtProvider => "duplicate_at_provider",
            Self::MalformedAddress => "malformed_address",
            Self::NativeUserIsAddress => "native_user_is_address",
            Self::AppAddressInOtherDomain => "app_address_in_other_domain",
            Self::DuplicateInAccount => "duplicate_in_account",
            Self::DuplicateAcrossAccounts => "duplicate_across_accounts",
            Self::ContactNotUnique => "contact_not_unique",
            Self::NoAddress => "no_address",
            Self::MeetsProviderWithin => "meets_provider_within",
        }
    }

    /// `ignore_case`: the application takes addresses that differ in case for one.
    pub const fn severity(self, ignore_case: bool) -> Severity {
        match self {
            Self::CaseDiffers if ignore_case => Severity::Note,
            Self::UpnDiffers
            | Self::AliasOnly
            | Self::CaseDiffers
            | Self::OtherDomain
            | Self::NoCounterpart
            | Self::DisabledAtProvider
            | Self::Guest
            | Self::DuplicateAtProvider
            | Self::MalformedAddress
            | Self::NativeUserIsAddress => Severity::Blocks,
            Self::AppAddressInOtherDomain
            | Self::DuplicateInAccount
            | Self::DuplicateAcrossAccounts
            | Self::ContactNotUnique => Severity::Choice,
            Self::NoAddress | Self::MeetsProviderWithin => Severity::Note,
        }
    }

    /// What it means, in a few words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::UpnDiffers => "the UPN is another address, and the UPN is asserted",
            Self::AliasOnly => "only an alias; the account's main address is asserted",
            Self::CaseDiffers => "the same letters in another case before the @",
            Self::OtherDomain => "the asserted address is in another domain",
            Self::NoCounterpart => "nobody at the provider has this address",
            Self::DisabledAtProvider => "the account at the provider is disabled",
            Self::Guest => "a guest there, whose UPN is never taken for verified",
            Self::DuplicateAtProvider => "two accounts at the provider assert this address",
            Self::MalformedAddress => "no e-mail address that can be compared",
            Self::NativeUserIsAddress => "a program's user name is an address of the domain",
            Self::AppAddressInOtherDomain => "the asserted address is of the domain, this is not",
            Self::DuplicateInAccount => "one address twice in one account: they will choose",
            Self::DuplicateAcrossAccounts => "one address in several accounts: they will choose",
            Self::ContactNotUnique => "a program shares its contact address",
            Self::NoAddress => "the row has no address",
            Self::MeetsProviderWithin => "the session ends soon; then they meet the provider",
        }
    }

    /// What to do.
    pub fn advice(self, domain: &EmailDomain) -> String {
        String::from(match self {
            Self::UpnDiffers => "Make both equal: change the UPN, or the address in the application.",
            Self::AliasOnly => {
                "Change the address in the application to the asserted one, or make it the account's main address."
            }
            Self::CaseDiffers => {
                "Spell it alike on both sides; if the application ignores case, add --ignore-case and this is a note."
            }
            Self::OtherDomain => {
                "Change the domain of the asserted address, or give that domain to the connector and change the address \
                 in the application."
            }
            Self::NoCounterpart => {
                "Create or assign the account, correct the address, or deactivate the user in the application."
            }
            Self::DisabledAtProvider => "Enable the account, or deactivate the user in the application.",
            Self::Guest => "Give the person an account as a member, or leave them out of the cut-over.",
            Self::DuplicateAtProvider => "Leave the address to one account: the second to sign in would be refused.",
            Self::MalformedAddress => "Correct the address in the application.",
            Self::NativeUserIsAddress => {
                return format!(
                    "Rename it to a user name that is no address: after the cut-over a name @{domain} is refused (403)."
                );
            }
            Self::AppAddressInOtherDomain => {
                "Change the address in the application to the asserted one, or they arrive as a new user."
            }
            Self::DuplicateInAccount | Self::DuplicateAcrossAccounts => {
                "Nothing, if both are meant: one sign-in, then a choice. Otherwise merge them."
            }
            Self::ContactNotUnique => "Give the program a contact address of its own, best that of a group.",
            Self::NoAddress => "Nothing, if they keep the application's own sign-in; otherwise give them an address.",
            Self::MeetsProviderWithin => "Tell them, and the help desk.",
        })
    }
}

/// What becomes of a row; each row of the application's list has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The provider asserts this very address.
    Ready,
    /// There is no list of the provider to compare with.
    NotCompared,
    /// A program that keeps its user name and password.
    Native,
    /// Not active in the application.
    Inactive,
    /// Another domain: nothing changes.
    OtherUsers,
    /// Something was found.
    Found(Code),
}

impl Outcome {
    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotCompared => "not_compared",
            Self::Native => "native",
            Self::Inactive => "inactive",
            Self::OtherUsers => "other_users",
            Self::Found(code) => code.word(),
        }
    }

    /// What it means, in a few words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ready => "the provider asserts this very address",
            Self::NotCompared => "there is no list of the provider to compare with",
            Self::Native => "programs; they keep user name and password",
            Self::Inactive => "not active in the application; not looked at",
            Self::OtherUsers => "other domains; nothing changes for them",
            Self::Found(code) => code.meaning(),
        }
    }
}

/// Something about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub code: Code,
    /// The row, as an index into the report's rows.
    pub(super) row: usize,
    /// What else there is to say.
    pub detail: Detail,
}

/// What else there is to say about a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    None,
    /// The address that the provider asserts.
    Asserted(Box<str>),
    /// Lines of other rows with this address; the first few.
    AlsoInLines(Box<[u64]>),
    /// When the session ends.
    Ends(Timestamp),
}
