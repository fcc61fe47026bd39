'use client'
import { use, useEffect, useState } from 'react'
import { enter, type Answer, type ApprovalRequest, type Caption } from '../../../lib/meeting'

export default function Meeting({ params }: { params: Promise<{ id: string }> }) {
  const { id } = use(params)
  const [captions, setCaptions] = useState<ReadonlyMap<string, Caption>>(new Map())
  const [problem, setProblem] = useState('')

  useEffect(() => {
    let leave: (() => Promise<void>) | undefined
    let gone = false
    const show = (caption: Caption) => setCaptions((before) => new Map(before).set(caption.segment, caption))
    const start = async () => {
      const response = await fetch(`/api/meetings/${encodeURIComponent(id)}/join`, { method: 'POST' })
      if (!response.ok) throw new Error('You may not come in.')
      leave = await enter(await response.json(), show, ask)
      if (gone) await leave()
    }
    start().catch((error: unknown) => setProblem(error instanceof Error ? error.message : 'Something went wrong.'))
    return () => {
      gone = true
      void leave?.()
    }
  }, [id])

  if (problem) return <p role="alert">{problem}</p>
  return (
    <ol aria-live="polite">
      {[...captions.values()].map((caption) => (
        <li key={caption.segment} style={{ opacity: caption.final ? 1 : 0.6 }}>
          <b>{caption.speaker.name || caption.speaker.identity}</b> {caption.text}
        </li>
      ))}
    </ol>
  )
}

/** The least popup there is; yours is a dialog. Titles are what people said: text, never HTML. */
async function ask(request: ApprovalRequest): Promise<Answer> {
  const { title, start, timeZone } = request.event
  return window.confirm(`${title}\n${start} (${timeZone})`) ? { decision: 'approved' } : { decision: 'rejected' }
}
