/** Who is signed in. Yours: next-auth, Clerk, your own cookie. */
export interface User {
  id: string
  name: string
}

export async function currentUser(request: Request): Promise<User | null> {
  void request // look at its cookies
  throw new Error('put your own sign-in here')
}

/** Whether they may be in this meeting, and as what. Yours, too: the engine knows no guest lists. */
export async function roleIn(user: User, meetingId: string): Promise<'host' | 'participant' | 'viewer' | null> {
  void user
  void meetingId
  throw new Error('put your own rules here')
}
