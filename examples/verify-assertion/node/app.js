// An Express application behind Anteroom that believes nothing but the signed assertion.
//
//   ASSERTION_ISSUER=https://app.example.com ASSERTION_AUDIENCE=portal PORT=3000 node app.js

import express from 'express';
import { HEADER, assertionVerifier, remoteKeys } from './anteroom-assertion.js';

const issuer = process.env.ASSERTION_ISSUER;
const verify = assertionVerifier({
  issuer,
  audience: process.env.ASSERTION_AUDIENCE,
  keys: remoteKeys(process.env.ASSERTION_JWKS_URL ?? `${issuer}/.anteroom/jwks.json`),
});

const app = express();
app.disable('x-powered-by');

app.use(async (request, response, next) => {
  try {
    request.user = await verify(request.get(HEADER));
  } catch (error) {
    console.warn('request without a valid assertion:', error.message);
    response.sendStatus(401);
    return;
  }
  next();
});

app.get('/', (request, response) => {
  // `sub` names the person for good; the address may change.
  const { sub, email, role, groups = [] } = request.user;
  response.json({ sub, email, role, groups });
});

const server = app.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? '127.0.0.1', () => {
  console.log(`listening on port ${server.address().port}`);
});
