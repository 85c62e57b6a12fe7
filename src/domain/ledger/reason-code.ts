/** Why an entry moved credits, as the ledger tells it. The system has codes of its own; a charge has USAGE or its caller's. */

/** What nobody but the system may give as a reason, in capitals. */
export const SYSTEM_REASON_CODES = [
  'PURCHASE',
  'BONUS',
  'PLAN_GRANT',
  'ALLOWANCE',
  'ROLLOVER',
  'REFUND',
  'EXPIRY',
  'ADJUSTMENT',
  'REVOKE',
  'GRANT',
  'PROMOTION',
  'REVERSAL',
  'ALLOCATION',
  'DEBT',
  'DEBT_REPAYMENT',
  'PLAN_CHANGE',
  'DISPUTE',
  'CAPTURE',
  'RELEASE',
  'HOLD',
  'HOLD_EXPIRY',
  'LOT_STARTED',
  'SNAPSHOT',
] as const;

export type SystemReasonCode = (typeof SYSTEM_REASON_CODES)[number];

declare const givenByCaller: unique symbol;
/** What the caller of a charge gave: of the form below, and none of the system's. */
export type CallerReasonCode = string & { readonly [givenByCaller]: true };

export type ReasonCode = SystemReasonCode | 'USAGE' | CallerReasonCode;

const FORM = /^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/;
const RESERVED: ReadonlySet<string> = new Set(SYSTEM_REASON_CODES);

export const hasReasonCodeForm = (text: string): boolean => FORM.test(text);

/** Of a text that has been checked for both. */
export function callerReasonCode(text: string): CallerReasonCode {
  if (!hasReasonCodeForm(text) || isSystemReasonCode(text)) throw new Error(`${text} is no reason code of a caller`);
  return text as CallerReasonCode;
}

/** In whatever case it is written. */
export const isSystemReasonCode = (text: string): boolean => RESERVED.has(text.toUpperCase());
