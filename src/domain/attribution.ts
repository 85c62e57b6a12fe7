/** What a charge was for, as its caller tells it. Null where the caller does not. */
export interface Attribution {
  readonly userId: string | null;
  readonly projectId: string | null;
  readonly taskId: string | null;
  readonly executionId: string | null;
}
