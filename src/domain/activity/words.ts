/** Pieces of summaries. What callers have written is kept to one line of bounded length. */
import { formatCredits, type Micros } from '../credits/micros.ts';
import type { Work } from './activity.ts';

const MAX_CHARACTERS = 300;
/** Line breaks and what else moves the cursor, and marks that turn the direction of writing around. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** Somebody's text within a line. */
export function inLine(text: string): string {
  const line = text.replace(UNPRINTABLE, ' ').trim();
  const characters = [...line];
  return characters.length > MAX_CHARACTERS ? `${characters.slice(0, MAX_CHARACTERS - 1).join('')}…` : line;
}

/** "1 credit", "0.5 credits"; how much, whatever its sign. */
export function creditsOf(amount: Micros): string {
  const text = formatCredits(amount).replace('-', '');
  return `${text} ${text === '1' ? 'credit' : 'credits'}`;
}

/** " of execution run-9 of task crawl-7"; nothing where there is neither. */
export function ofWork({ executionId, taskId }: Work): string {
  const execution = executionId === null ? '' : ` of execution ${inLine(executionId)}`;
  return taskId === null ? execution : `${execution} of task ${inLine(taskId)}`;
}

/** ": because of that"; nothing where nobody gave a reason. */
export const because = (reason: string | null): string => (reason === null ? '' : `: ${inLine(reason)}`);
