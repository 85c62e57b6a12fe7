/** Bounds on what a request may cost before anything of it is executed. */
import { costLimitPlugin } from '@escape.tech/graphql-armor-cost-limit';
import { maxAliasesPlugin } from '@escape.tech/graphql-armor-max-aliases';
import { maxDepthPlugin } from '@escape.tech/graphql-armor-max-depth';
import { maxDirectivesPlugin } from '@escape.tech/graphql-armor-max-directives';
import { maxTokensPlugin } from '@escape.tech/graphql-armor-max-tokens';
import type { Plugin } from 'graphql-yoga';
import { badUserInput } from '../graphql/errors.ts';

/** 5,000 usage events with all their fields fit; see `recordUsage`. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024;
export const MAX_WEBHOOK_BYTES = 1024 * 1024;

/** A document, without its variables. */
const MAX_DOCUMENT_CHARACTERS = 64 * 1024;
const MAX_TOKENS = 2_000;
const MAX_DEPTH = 16;
const MAX_ALIASES = 50;
const MAX_DIRECTIVES = 50;
const MAX_COST = 50_000;

export function documentLimits(): Plugin[] {
  return [
    boundedDocument(),
    maxTokensPlugin({ n: MAX_TOKENS }),
    maxDepthPlugin({ n: MAX_DEPTH, ignoreIntrospection: true }),
    maxAliasesPlugin({ n: MAX_ALIASES }),
    maxDirectivesPlugin({ n: MAX_DIRECTIVES }),
    costLimitPlugin({ maxCost: MAX_COST, ignoreIntrospection: true }),
  ] as Plugin[];
}

/** Refused before it is parsed: tokens do not count what a comment or a string may hold. */
function boundedDocument(): Plugin {
  return {
    onParse({ params: { source } }) {
      const text = typeof source === 'string' ? source : source.body;
      if (text.length <= MAX_DOCUMENT_CHARACTERS) return;
      throw badUserInput(`The document has more than ${MAX_DOCUMENT_CHARACTERS} characters.`);
    },
  };
}
