// The people of each provider. The names follow the demo's; every provider has one person whose address it does not
// vouch for, the twin of one whose address it does.

export const ENTRA_TENANT = "7b3f1c52-6d0a-4e59-9a42-0c1de6a5b7f8";

export const entraPeople = {
  "alice@contoso.example": {
    oid: "a1c4f0de-2b7a-4c11-8c54-4f6f2d1e9b01",
    name: "Alice Adams",
    groups: ["0f0f5a86-5a0e-4b0c-9a3a-1c5d2f7e6b11", "c8d7a2ff-90c1-4f39-b1a4-6f1f1f3f2a22"],
    roles: ["Admin"],
  },
  "dora@contoso.example": { oid: "d04a0de0-77aa-4a55-8d7c-0e0b8f3c2d04", name: "Dora Diaz", groups: [], roles: [] },
  "erin@contoso.example": { oid: "e21d5a70-4c0f-4d7e-8f7b-2b1c9a6d3e05", name: "Erin Evans", groups: [], roles: [] },
  // A guest of the tenant: the home address sits inside the UPN.
  "gus_fabrikam.example#EXT#@contoso.example": {
    oid: "9e5c7b11-0a0f-4a6d-b0f6-8a5b6c7d8e09",
    name: "Gus Green",
    email: "gus@contoso.example",
    acct: 1,
    groups: [],
    roles: [],
  },
};

export const googlePeople = {
  "alice@initech.example": {
    sub: "104857600000000000001",
    name: "Alice Adams",
    emailVerified: true,
    hd: "initech.example",
  },
  "dora@initech.example": {
    sub: "104857600000000000004",
    name: "Dora Diaz",
    emailVerified: true,
    hd: "initech.example",
  },
  "erin@initech.example": {
    sub: "104857600000000000005",
    name: "Erin Evans",
    emailVerified: true,
    hd: "initech.example",
  },
  "fay@initech.example": {
    sub: "104857600000000000006",
    name: "Fay Fisher",
    emailVerified: true,
    hd: "initech.example",
  },
  "bob@initech.example": {
    sub: "104857600000000000002",
    name: "Bob Brown",
    emailVerified: false,
    hd: "initech.example",
  },
  // A personal account that carries a company's address: no hd.
  "carol@initech.example": { sub: "104857600000000000003", name: "Carol Clark", emailVerified: true },
};

export const keycloakPeople = {
  "alice@keycloak.example": {
    firstName: "Alice",
    lastName: "Adams",
    emailVerified: true,
    groups: ["staff", "finance"],
  },
  "dora@keycloak.example": { firstName: "Dora", lastName: "Diaz", emailVerified: true, groups: [] },
  "erin@keycloak.example": { firstName: "Erin", lastName: "Evans", emailVerified: true, groups: ["staff"] },
  "frank@keycloak.example": { firstName: "Frank", lastName: "Fox", emailVerified: true, groups: [] },
  "bob@keycloak.example": { firstName: "Bob", lastName: "Brown", emailVerified: false, groups: [] },
};

export const universityPeople = {
  "alice@university.example": { name: "Alice Adams", groups: ["staff", "finance, and more"], roles: ["urn:mace:library"] },
  "dora@university.example": { name: "Dora Díaz", groups: [] },
  "erin@university.example": { name: "Erin Evans", groups: ["staff"] },
  // Of another university: its own provider would vouch for her, this one does not.
  "mallory@elsewhere.example": { name: "Mallory Moore", groups: [] },
};

/** Only Keycloak asks for one. */
export const PASSWORD = "correct horse battery staple";

/** What oidc-provider says in `error_description` of somebody who cancelled. */
export const CANCELLED = "the person cancelled";
