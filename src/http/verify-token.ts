/**
 * Verifies people's tokens, by a secret or by the key set of their identity provider. A token that is at fault is told from a
 * provider that does not answer: of the first nobody is signed in by it, of the second nobody knows.
 */
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose';
import type { Logger } from 'pino';

export interface VerificationOptions {
  readonly jwtSecret: string | undefined;
  readonly jwksUrl: string | undefined;
  readonly logger: Logger;
}

/** The claims of a token; null where it is not valid. Rejects with IdentityProviderUnavailable where that cannot be known. */
export type VerifyToken = (token: string) => Promise<JWTPayload | null>;

/** The keys that tokens are verified by cannot be read now, or not be used. */
export class IdentityProviderUnavailable extends Error {
  constructor(cause: unknown) {
    super('the keys of the identity provider cannot be read', { cause });
  }
}

const OPTIONS: JWTVerifyOptions = { requiredClaims: ['sub'] };
/** Streams wait as long for a check of their credential, and end within 5 s of what ends it. */
const KEY_SET_MILLISECONDS = 3_000;

/** Whoever made the token decides whether one of these is thrown. All others are faults of the key set. */
const FAULTS_OF_TOKENS = [
  errors.JWTExpired,
  errors.JWTClaimValidationFailed,
  errors.JWTInvalid,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
];

export function tokenVerification({ jwtSecret, jwksUrl, logger }: VerificationOptions): VerifyToken {
  if (jwksUrl !== undefined) return byKeySet(new URL(jwksUrl), logger);
  if (jwtSecret !== undefined) return bySecret(new TextEncoder().encode(jwtSecret));
  return async () => null;
}

function bySecret(secret: Uint8Array): VerifyToken {
  return (token) => unlessAtFault(jwtVerify(token, secret, { ...OPTIONS, algorithms: ['HS256'] }));
}

/** Keys are kept for ten minutes, so that an outage shows only then, or at a key that is not among them. It is told once. */
function byKeySet(url: URL, logger: Logger): VerifyToken {
  const keySet = createRemoteJWKSet(url, { timeoutDuration: KEY_SET_MILLISECONDS });
  let isAway = false;
  return async (token) => {
    try {
      const claims = await unlessAtFault(jwtVerify(token, keySet, OPTIONS));
      // So it is for half a minute after the keys were read, and in no other case.
      if (isAway && keySet.coolingDown) {
        isAway = false;
        logger.info('the keys of the identity provider are read again');
      }
      return claims;
    } catch (error) {
      if (!isAway)
        logger.error({ err: error }, 'the keys of the identity provider cannot be read; tokens wait until they can');
      isAway = true;
      throw new IdentityProviderUnavailable(error);
    }
  };
}

async function unlessAtFault(verifying: Promise<{ readonly payload: JWTPayload }>): Promise<JWTPayload | null> {
  try {
    return (await verifying).payload;
  } catch (error) {
    if (FAULTS_OF_TOKENS.some((fault) => error instanceof fault)) return null;
    throw error;
  }
}
