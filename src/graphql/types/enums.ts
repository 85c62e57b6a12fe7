/** The enums of the contract, each value described. */
import { builder } from '../builder.ts';

export const RoleEnum = builder.enumType('Role', {
  description: 'What a member may do in an organization.',
  values: {
    OWNER: { description: 'Everything, money included.' },
    ADMIN: { description: 'Reads everything, changes nothing about billing.' },
    EDITOR: { description: 'Reads everything, changes nothing about billing.' },
    VIEWER: { description: 'Reads everything, changes nothing about billing.' },
  } as const,
});

export const ScopeEnum = builder.enumType('Scope', {
  description: 'What an API key may do. A master key may all of it and manage its organization.',
  values: {
    BILLING_READ: { description: 'Every read of its organization.' },
    BILLING_WRITE: { description: 'Purchases and plan; implies BILLING_READ.' },
    USAGE_WRITE: { description: 'Charge for usage, and see what its own calls did.' },
  } as const,
});

export const BalanceAccessEnum = builder.enumType('BalanceAccess', {
  description: 'How much of the balance a member sees.',
  values: {
    FULL: { description: 'The whole wallet.' },
    EARMARK_ONLY: { description: 'Nothing but the credits earmarked for them.' },
  } as const,
});

export const MembershipStatusEnum = builder.enumType('MembershipStatus', {
  description: 'Whether a membership has begun.',
  values: {
    ACTIVE: { description: 'The person is a member.' },
    INVITED: { description: 'The person was invited and has not accepted yet.' },
  } as const,
});

export const ViewerKindEnum = builder.enumType('ViewerKind', {
  description: 'What kind of credential a request carries.',
  values: {
    USER: { description: 'A person’s token.' },
    API_KEY: { description: 'An API key.' },
    OPERATOR: { description: 'The token of an operator of the platform.' },
  } as const,
});

export const BucketKindEnum = builder.enumType('BucketKind', {
  description: 'Where the credits of a bucket come from.',
  values: {
    ALLOWANCE: { description: 'A free allowance that refreshes, usually daily.' },
    PLAN: { description: 'Credits that come with the plan.' },
    PURCHASED: { description: 'Bought credits, bonus included.' },
    PROMOTIONAL: { description: 'Given away: grants and promotions.' },
  } as const,
});

export const RefreshIntervalEnum = builder.enumType('RefreshInterval', {
  description: 'How often an allowance refreshes, in the organization’s time zone.',
  values: {
    DAY: { description: 'At the start of every local day.' },
    MONTH: { description: 'At the start of the anchor day of every month, or of its last day where it is shorter.' },
  } as const,
});

export const LotSourceEnum = builder.enumType('LotSource', {
  description: 'What made a lot.',
  values: {
    PLAN_GRANT: { description: 'The plan’s credits of a period.' },
    ALLOWANCE: { description: 'The free allowance of a period.' },
    PURCHASE: { description: 'A paid purchase.' },
    BONUS: { description: 'The bonus that came with a purchase.' },
    PROMOTION: { description: 'A grant by an operator or a promotion.' },
    ADJUSTMENT: { description: 'A correction by an operator.' },
    REFUND: { description: 'A refund of credits whose lot had expired.' },
    ROLLOVER: { description: 'Credits carried over from the period before.' },
  } as const,
});

export const DirectionEnum = builder.enumType('Direction', {
  description: 'Which way credits move.',
  values: {
    CREDIT: { description: 'Into the wallet.' },
    DEBIT: { description: 'Out of the wallet.' },
  } as const,
});

export const TransactionKindEnum = builder.enumType('TransactionKind', {
  description: 'What a transaction does.',
  values: {
    DEBIT: { description: 'A charge for usage.' },
    CAPTURE: { description: 'A charge out of a hold.' },
    REFUND: { description: 'Gives back what was charged.' },
    GRANT: { description: 'Credits given by a plan, an allowance or an operator.' },
    PURCHASE: { description: 'Credits that were paid for, with their bonus.' },
    EXPIRY: { description: 'Takes what was left of a lot at its expiry.' },
    ROLLOVER: { description: 'Carries credits into the next period.' },
    ALLOCATION: { description: 'Moves credits into or out of an earmark.' },
    ADJUSTMENT: { description: 'A correction by an operator.' },
    REVERSAL: { description: 'Takes back credits after a money refund or dispute.' },
  } as const,
});

export const SubscriptionStatusEnum = builder.enumType('SubscriptionStatus', {
  description: 'The state of a subscription. Credits can be spent while it is TRIALING or ACTIVE.',
  values: {
    TRIALING: { description: 'In its trial.' },
    ACTIVE: { description: 'In force.' },
    PAST_DUE: { description: 'A renewal was not paid; spending is refused.' },
    CANCELED: { description: 'Ended; spending is refused.' },
  } as const,
});

export const PlanChangeTimeEnum = builder.enumType('PlanChangeTime', {
  description: 'When a change of plan takes effect.',
  values: {
    NOW: { description: 'At once.' },
    PERIOD_END: { description: 'When the period that is paid for ends.' },
  } as const,
});

export const BillingIntervalEnum = builder.enumType('BillingInterval', {
  description: 'How often a plan is paid.',
  values: {
    MONTH: { description: 'Every month.' },
    YEAR: { description: 'Every year; allowances still refresh by their own interval.' },
  } as const,
});

export const PurchaseStatusEnum = builder.enumType('PurchaseStatus', {
  description: 'The state of a purchase.',
  values: {
    PENDING: { description: 'Waiting for payment; no credits yet.' },
    PAID: { description: 'Paid; its credits are in the wallet.' },
    FAILED: { description: 'Declined, for good; no credits.' },
    EXPIRED: { description: 'Canceled or abandoned, for good; no credits.' },
    REFUNDED: { description: 'Paid and refunded; what was left of its credits is taken back.' },
    DISPUTED: { description: 'Paid and disputed; its credits are frozen.' },
  } as const,
});

export const PurchaseKindEnum = builder.enumType('PurchaseKind', {
  description: 'What was bought.',
  values: {
    PACKAGE: { description: 'A package of the catalog.' },
    TOP_UP: { description: 'An amount of credits in the plan’s increments.' },
    AUTO_TOP_UP: { description: 'A top-up that the gateway bought when the balance fell below a threshold.' },
    PLAN: { description: 'A period of a plan.' },
  } as const,
});

export const RateShapeEnum = builder.enumType('RateShape', {
  description:
    'How a quantity is turned into credits. Tiers and free units count the units that the rate has charged to the organization since the start of its monthly billing period.',
  values: {
    FLAT: { description: 'The same credits for any quantity above zero.' },
    PER_UNIT: { description: 'Credits for every `per` units, in proportion.' },
    PACKAGE: { description: 'Credits for every block of `per` units that a usage line starts.' },
    GRADUATED: { description: 'Every unit at the price of the tier into which it falls.' },
    VOLUME: {
      description:
        'All units of a usage line at the price of the tier that the period has reached with it; earlier lines keep their price.',
    },
  } as const,
});

export const RateRoundingEnum = builder.enumType('RateRounding', {
  description: 'How the exact price of a usage line is rounded to a multiple of `roundTo`.',
  values: {
    HALF_UP: { description: 'To the nearest multiple, half away from zero.' },
    UP: { description: 'To the next multiple above, unless it is one.' },
    DOWN: { description: 'To the next multiple below, unless it is one.' },
  } as const,
});

export const UsageEventStatusEnum = builder.enumType('UsageEventStatus', {
  description: 'What became of an ingested event.',
  values: {
    ACCEPTED: { description: 'Charged now.' },
    DUPLICATE: { description: 'Its key was used before with the same payload; the first answer is given again.' },
    REJECTED: { description: 'Refused; `error` says why.' },
  } as const,
});

export const HoldStatusEnum = builder.enumType('HoldStatus', {
  description: 'The state of a hold. It ends once.',
  values: {
    OPEN: { description: 'Its credits are reserved; it can be captured, released and extended.' },
    CAPTURED: { description: 'Charged; what was left of it is released.' },
    RELEASED: { description: 'Given back.' },
    EXPIRED: { description: 'Lapsed at its expiry; what was left of it is given back.' },
  } as const,
});

export const OveragePolicyEnum = builder.enumType('OveragePolicy', {
  description: 'What happens to a cost that is more than what is held or can be spent.',
  values: {
    REJECT: { description: 'It is refused and nothing is charged. The default.' },
    CAP: { description: 'What there is is charged; the rest is waived.' },
    DEBT: { description: 'What there is is charged and the rest is owed, up to the overdraft of the plan.' },
  } as const,
});

export const RecordUsageModeEnum = builder.enumType('RecordUsageMode', {
  description: 'What a refused event means for the others of its call.',
  values: {
    EACH: { description: 'Every event is decided for itself. The default.' },
    UNTIL_BLOCKED: {
      description:
        'After the first refused event of an organization its later ones are NotAttempted and store nothing.',
    },
    ALL_OR_NOTHING: { description: 'All events of the call are charged together, or none; for one organization.' },
  } as const,
});

export const UsageDimensionEnum = builder.enumType('UsageDimension', {
  description: 'What a usage report can be grouped by. A row’s value is null for usage that has none.',
  values: {
    METER: { description: 'The meter; none for a charge by amount.' },
    MODEL: { description: 'The dimension `model` of the usage line.' },
    MODALITY: { description: 'The dimension `modality` of the usage line.' },
    OPERATION: { description: 'The dimension `operation` of the usage line.' },
    USER: { description: 'The member for whom it was charged, by id.' },
    PROJECT: { description: 'The project for which it was charged, by id.' },
    API_KEY: { description: 'The API key that charged it, by id; none for what a person charged.' },
    TASK: { description: 'The caller’s task.' },
    EXECUTION: { description: 'The caller’s execution.' },
    DAY: { description: 'The day in the organization’s time zone: "2026-11-21".' },
    MONTH: { description: 'The month in the organization’s time zone: "2026-11".' },
  } as const,
});

export const WebhookDeliveryStatusEnum = builder.enumType('WebhookDeliveryStatus', {
  description: 'What became of a delivery so far.',
  values: {
    PENDING: { description: 'To be tried, for the first time or again.' },
    DELIVERED: { description: 'The receiver answered 2xx.' },
    FAILED: { description: 'Given up: all attempts failed, the receiver answered 410, or its endpoint was deleted.' },
  } as const,
});

export const LimitWindowEnum = builder.enumType('LimitWindow', {
  description: 'What a limit is counted by; windows are half-open.',
  values: {
    HOUR: { description: 'An hour.' },
    DAY: { description: 'A day in the organization’s time zone.' },
    MONTH: { description: 'A calendar month in the organization’s time zone.' },
  } as const,
});

export const SpendLimitScopeEnum = builder.enumType('SpendLimitScope', {
  description: 'Whose spending a limit counts.',
  values: {
    ORGANIZATION: { description: 'All of the organization.' },
    PROJECT: { description: 'What is attributed to one project.' },
    USER: { description: 'What is attributed to one member.' },
    API_KEY: { description: 'What one key charges; a capture counts for the key that made the hold.' },
  } as const,
});
export const AlertStateEnum = builder.enumType('AlertState', {
  description: 'Where an alert stands.',
  values: {
    ARMED: { description: 'It triggers when less than its threshold can be spent.' },
    TRIGGERED: {
      description: 'It has triggered and tells nothing more until at least 105 % of its threshold can be spent.',
    },
  } as const,
});

export const AlertTransitionEnum = builder.enumType('AlertTransition', {
  description: 'What an alert does.',
  values: {
    TRIGGERED: { description: 'Less than its threshold can be spent.' },
    RESOLVED: { description: 'At least 105 % of its threshold can be spent again.' },
  } as const,
});

export const ErrorCodeEnum = builder.enumType('ErrorCode', {
  description: 'Codes of refusals, one per error type.',
  values: {
    INSUFFICIENT_CREDITS: { description: 'See InsufficientCredits.' },
    SUBSCRIPTION_REQUIRED: { description: 'See SubscriptionRequired.' },
    SPEND_LIMIT_REACHED: { description: 'See SpendLimitReached.' },
    ALLOCATION_EXHAUSTED: { description: 'An earmark is used up.' },
    PLAN_LIMIT_REACHED: { description: 'See PlanLimitReached.' },
    IDEMPOTENCY_KEY_REUSED: { description: 'See IdempotencyKeyReused.' },
    UNKNOWN_METER: { description: 'See UnknownMeter.' },
    WALLET_FROZEN: { description: 'See WalletFrozen.' },
    HOLD_NOT_OPEN: { description: 'See HoldNotOpen.' },
    CAPTURE_EXCEEDS_HOLD: { description: 'See CaptureExceedsHold.' },
    REFUND_EXCEEDS_ORIGINAL: { description: 'See RefundExceedsOriginal.' },
    PAYMENT_FAILED: { description: 'See PaymentFailed.' },
    INVALID_INCREMENT: { description: 'See InvalidIncrement.' },
    CONFLICT: { description: 'See Conflict.' },
    NOT_ATTEMPTED: { description: 'See NotAttempted.' },
    NOT_FOUND: { description: 'See NotFound.' },
    INVALID_INPUT: { description: 'See InvalidInput.' },
  } as const,
});

export const StatementStatusEnum = builder.enumType('StatementStatus', {
  description: 'Whether a statement is final.',
  values: {
    OPEN: { description: 'Provisional: its month runs, or its wallet is frozen.' },
    CLOSED: { description: 'Final: it never changes.' },
  } as const,
});
export const ActivityKindEnum = builder.enumType('ActivityKind', {
  description: 'What an activity is about.',
  values: {
    USAGE: { description: 'Charges, grouped by task and execution, or by who charged where there is neither.' },
    PURCHASE: { description: 'A purchase was paid, failed, expired, was disputed or given back.' },
    PLAN: { description: 'The plan began, changed, was renewed, was not paid, was canceled or resumed.' },
    HOLD: { description: 'Credits were held, or a hold was released or lapsed. What a hold charges is USAGE.' },
    REFUND: { description: 'Credits of a charge were given back.' },
    ADJUSTMENT: { description: 'Credits were granted, revoked, adjusted or had for a promo code.' },
    ALERT: { description: 'An alert was triggered or resolved.' },
    MEMBER: { description: 'Somebody was invited, joined, got another role or left.' },
    API_KEY: { description: 'An API key was created or revoked.' },
    SETTINGS: { description: 'Name, time zone, projects, earmarks, test clock or top-ups by themselves changed.' },
  } as const,
});
