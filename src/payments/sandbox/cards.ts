/** What the sandbox's cards do: when somebody pays with them at a checkout, and when they are charged later. */
import { SANDBOX_CARDS, type SandboxCard } from '../../persistence/payments/sandbox-cards.ts';

export interface CardBehaviour {
  /** What people read beside the card. */
  readonly label: string;
  /** CONFIRM and DELAY: what becomes of the payment is decided later, on its page. */
  readonly atCheckout: 'PAY' | 'DECLINE' | 'CONFIRM' | 'DELAY';
  /** A decline has its reason. */
  readonly charged: 'PAY' | 'DELAY' | { readonly declineCode: string };
}

const CARD_DECLINED = { declineCode: 'card_declined' };

export const CARDS: Readonly<Record<SandboxCard, CardBehaviour>> = {
  success: { label: 'Pays', atCheckout: 'PAY', charged: 'PAY' },
  declined: { label: 'Is declined', atCheckout: 'DECLINE', charged: CARD_DECLINED },
  declined_later: {
    label: 'Pays now, is declined when it is charged later',
    atCheckout: 'PAY',
    charged: CARD_DECLINED,
  },
  requires_action: {
    label: 'Pays once you have confirmed it, is declined when nobody is there to confirm',
    atCheckout: 'CONFIRM',
    charged: { declineCode: 'authentication_required' },
  },
  delayed: { label: 'Pays later: its money takes a while', atCheckout: 'DELAY', charged: 'DELAY' },
};

/** What an organization has that has left no card: test payments work without arranging anything. */
export const DEFAULT_CARD: SandboxCard = 'success';

export const isCard = (text: string): text is SandboxCard => SANDBOX_CARDS.some((card) => card === text);

/** The reason of a decline, as the sandbox gives it. */
export function declineCodeOf(card: SandboxCard | null, offSession: boolean): string {
  const charged = card === null ? 'PAY' : CARDS[card].charged;
  return offSession && typeof charged === 'object' ? charged.declineCode : CARD_DECLINED.declineCode;
}
