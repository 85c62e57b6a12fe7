/**
 * What a stream tells is the one root field of its subscription. The specification refuses @skip and @include there: a
 * stream whose root field is left out would have nothing to follow.
 */
import {
  type DirectiveNode,
  GraphQLError,
  GraphQLIncludeDirective,
  GraphQLSkipDirective,
  Kind,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
} from 'graphql';

const CONDITIONS: ReadonlySet<string> = new Set([GraphQLSkipDirective.name, GraphQLIncludeDirective.name]);

export const UnconditionalSubscriptionsRule: ValidationRule = (context) => ({
  OperationDefinition({ operation, selectionSet }) {
    if (operation !== 'subscription') return;
    const nodes = conditionsOfRoot(context, selectionSet, new Set());
    if (nodes.length === 0) return;
    const message = 'A subscription may not use @skip or @include on its root field, or on a fragment around it.';
    context.reportError(new GraphQLError(message, { nodes }));
  },
});

/** The conditions on root selections, those of fragments included. Fragments may be cyclic here: each is entered once. */
function conditionsOfRoot(
  context: ValidationContext,
  { selections }: SelectionSetNode,
  entered: Set<string>,
): DirectiveNode[] {
  return selections.flatMap((selection) => {
    const own = (selection.directives ?? []).filter(({ name }) => CONDITIONS.has(name.value));
    if (selection.kind === Kind.FIELD) return own;
    if (selection.kind === Kind.INLINE_FRAGMENT) {
      return [...own, ...conditionsOfRoot(context, selection.selectionSet, entered)];
    }
    const { value: name } = selection.name;
    const fragment = entered.has(name) ? null : context.getFragment(name);
    if (!fragment) return own;
    entered.add(name);
    return [...own, ...conditionsOfRoot(context, fragment.selectionSet, entered)];
  });
}
