/** The engine's HTTP side. Runs on the server only: it holds the service key. */
export interface Joining {
  serverUrl: string
  participantToken: string
  roomName: string
  expiresAt: string
}

function setting(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}

function call(url: string, init: RequestInit = {}): Promise<Response> {
  const headers = { ...init.headers, Authorization: `Bearer ${setting('MEETAI_SERVICE_KEY')}` }
  return fetch(url, { ...init, headers, cache: 'no-store', signal: AbortSignal.timeout(10_000) })
}

/** Lets one person in. The room is made, told what the meeting is about, and gets its agent. */
export async function join(
  meetingId: string,
  person: { id: string; name: string; role: 'host' | 'participant' | 'viewer' },
  meeting: { name: string; instructions: string },
): Promise<Joining> {
  const url = `${setting('TOKEN_URL')}/v1/meetings/${encodeURIComponent(meetingId)}/tokens`
  const body = JSON.stringify({
    userId: person.id,
    userName: person.name,
    role: person.role,
    meetingName: meeting.name,
    agent: { name: 'Minutes', instructions: meeting.instructions, language: 'en' },
  })
  const response = await call(url, { method: 'POST', body, headers: { 'Content-Type': 'application/json' } })
  if (!response.ok) throw new Error(`token: ${response.status}`)
  return (await response.json()) as Joining
}

/** A page of what was said, as the engine answers it. */
export function transcript(meetingId: string, cursor: string | null): Promise<Response> {
  const query = cursor ? `?cursor=${encodeURIComponent(cursor)}` : ''
  return call(`${setting('TRANSCRIPT_INGEST_URL')}/v1/meetings/${encodeURIComponent(meetingId)}/transcript${query}`)
}
