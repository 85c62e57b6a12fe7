/** Loads runways for the API: those of all wallets of an answer at once. */
import type { GraphQLResolveInfo } from 'graphql';
import { type Runway, runways } from '../../operations/runways.ts';
import type { GraphQLContext } from '../context.ts';

/** For whoever has been found to be allowed to read the wallet. */
export const loadRunway = (
  { loaders, services }: GraphQLContext,
  info: GraphQLResolveInfo,
  walletId: string,
): Promise<Runway> => loaders.byPath(info, walletId, (ids) => runways(services, ids));
