/** Bounds on what a request may cost before anything of it is executed. */
import { costLimitPlugin } from '@escape.tech/graphql-armor-cost-limit';
import { maxAliasesPlugin } from '@escape.tech/graphql-armor-max-aliases';
import { maxDepthPlugin } from '@escape.tech/graphql-armor-max-depth';
import { maxDirectivesPlugin } from '@escape.tech/graphql-armor-max-directives';
import { maxTokensPlugin } from '@escape.tech/graphql-armor-max-tokens';
import { Lexer, Source, TokenKind } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { badUserInput } from '../graphql/errors.ts';

/** 5,000 usage events with all their fields fit; see `recordUsage`. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024;
export const MAX_WEBHOOK_BYTES = 1024 * 1024;

/** A document, without its variables. */
const MAX_DOCUMENT_CHARACTERS = 64 * 1024;
const MAX_TOKENS = 2_000;
/** Of brackets of any kind. What reads a document calls itself at each, and its stack ends at a few times as many. */
const MAX_NESTING = 200;
const MAX_DEPTH = 16;
const MAX_ALIASES = 50;
const MAX_DIRECTIVES = 50;
const MAX_COST = 50_000;

export function documentLimits(): Plugin[] {
  return [
    boundedDocument(),
    maxTokensPlugin({ n: MAX_TOKENS }),
    boundedNesting(),
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

/** Refused before the parser comes to it, which the plugin before this one has set. */
function boundedNesting(): Plugin {
  return {
    onParse({ parseFn, setParseFn }) {
      setParseFn((source: string | Source, options: unknown) => {
        if (nestsTooDeeply(source)) throw badUserInput(`The document nests more than ${MAX_NESTING} brackets.`);
        return parseFn(source, options);
      });
    },
  };
}

const OPENING: ReadonlySet<TokenKind> = new Set([TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L]);
const CLOSING: ReadonlySet<TokenKind> = new Set([TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R]);

/** Looks no further than the parser does, which refuses what has more tokens. */
function nestsTooDeeply(source: string | Source): boolean {
  const lexer = new Lexer(typeof source === 'string' ? new Source(source) : source);
  let nesting = 0;
  for (let tokens = 0; tokens <= MAX_TOKENS; tokens++) {
    const { kind } = lexer.advance();
    if (kind === TokenKind.EOF) return false;
    if (OPENING.has(kind)) nesting += 1;
    if (CLOSING.has(kind)) nesting -= 1;
    if (nesting > MAX_NESTING) return true;
  }
  return false;
}
