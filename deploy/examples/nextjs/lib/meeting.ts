import { Room, RoomEvent, RpcError, Track, type RemoteTrack } from 'livekit-client'

/** A caption, as the agent sends it on the topic `meetai.transcript`. Interims of a segment are replaced by its final. */
export interface Caption {
  v: 1
  segment: string
  final: boolean
  id?: string
  speaker: { identity: string; name: string; kind: 'human' | 'agent' }
  text: string
  startedMs: number
  endedMs?: number
  language?: string
}

export interface ApprovalRequest {
  v: 1
  proposalId: string
  kind: string
  expiresAt: string
  event: { title: string; start: string; end: string; timeZone: string; attendees: string[] }
}

export type Answer =
  | { decision: 'approved' }
  | { decision: 'rejected'; comment?: string }
  | { decision: 'modified'; event: ApprovalRequest['event'] }

/** Joins a meeting, shows captions, and asks when the agent proposes something. Returns what leaves it. */
export async function enter(
  joining: { serverUrl: string; participantToken: string },
  show: (caption: Caption) => void,
  ask: (request: ApprovalRequest) => Promise<Answer>,
): Promise<() => Promise<void>> {
  const room = new Room({ adaptiveStream: true, dynacast: true })
  room.on(RoomEvent.DataReceived, (payload, _participant, _kind, topic) => {
    if (topic === 'meetai.transcript') show(JSON.parse(new TextDecoder().decode(payload)) as Caption)
  })
  room.on(RoomEvent.TrackSubscribed, (track: RemoteTrack) => {
    if (track.kind === Track.Kind.Audio) document.body.append(track.attach())
  })
  room.on(RoomEvent.TrackUnsubscribed, (track: RemoteTrack) => track.detach().forEach((element) => element.remove()))
  answerApprovals(room, ask) // before connecting, so that no request comes too early
  await room.connect(joining.serverUrl, joining.participantToken)
  await room.localParticipant.setMicrophoneEnabled(true)
  return () => room.disconnect()
}

function answerApprovals(room: Room, ask: (request: ApprovalRequest) => Promise<Answer>): void {
  const answers = new Map<string, Promise<Answer>>() // one popup a proposal, however often it is sent
  room.registerRpcMethod('meetai.approval', async ({ callerIdentity, payload }) => {
    if (!room.remoteParticipants.get(callerIdentity)?.isAgent) throw new RpcError(1400, 'only an agent may ask')
    const request = JSON.parse(payload) as ApprovalRequest
    let answer = answers.get(request.proposalId)
    if (!answer) {
      answer = ask(request)
      answers.set(request.proposalId, answer)
      answer.catch(() => answers.delete(request.proposalId))
    }
    return JSON.stringify({ v: 1, proposalId: request.proposalId, ...(await answer) })
  })
}
