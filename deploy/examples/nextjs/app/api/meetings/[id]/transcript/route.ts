import { transcript } from '../../../../../lib/engine'
import { currentUser, roleIn } from '../../../../../lib/session'

/** What was said, page by page: `{ lines, next }`, passed on as it comes. */
export async function GET(request: Request, { params }: { params: Promise<{ id: string }> }): Promise<Response> {
  const { id } = await params
  const user = await currentUser(request)
  if (!user || !(await roleIn(user, id))) return Response.json({ error: 'not your meeting' }, { status: 403 })
  const page = await transcript(id, new URL(request.url).searchParams.get('cursor'))
  return new Response(page.body, { status: page.status, headers: { 'Content-Type': 'application/json' } })
}
