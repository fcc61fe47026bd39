import { join } from '../../../../../lib/engine'
import { currentUser, roleIn } from '../../../../../lib/session'

/** Your rules say who comes in and as what; the token says it to LiveKit. */
export async function POST(request: Request, { params }: { params: Promise<{ id: string }> }): Promise<Response> {
  const { id } = await params
  const user = await currentUser(request)
  if (!user) return Response.json({ error: 'sign in first' }, { status: 401 })
  const role = await roleIn(user, id)
  if (!role) return Response.json({ error: 'not your meeting' }, { status: 403 })
  const joining = await join(id, { ...user, role }, { name: 'Stand-up', instructions: 'Keep the minutes.' })
  return Response.json(joining, { headers: { 'Cache-Control': 'no-store' } })
}
