/** The conversation beside the map: it asks, streams answers in, and keeps each in the history. */
import { find } from '../page/dom'
import type { Question } from '../server/records'
import { wordsOf } from '../server/refusal'
import type { Server } from '../server/server'
import type { Conversation, Turn } from './conversation'
import type { History } from './history'
import { type TurnEvents, TurnView } from './turn-view'

const TURNS_TO_FOLLOW = 3

export interface ChatEvents extends TurnEvents {
  onBusy: (busy: boolean) => void
  onAnswer: (turn: Turn) => void
}

export class Chat {
  private readonly log = find('#turns')
  private readonly scroller = find('#scroller')
  private views: TurnView[] = []
  private running: AbortController | null = null
  conversation: Conversation | null = null
  shown: Turn | null = null

  constructor(
    private readonly server: Server,
    private readonly history: History,
    private readonly events: ChatEvents,
  ) {}

  get busy(): boolean {
    return this.running !== null
  }

  /** Show a conversation, or none. */
  open(conversation: Conversation | null): void {
    this.stop()
    this.conversation = conversation
    this.views = (conversation?.turns ?? []).map((turn) => new TurnView(turn, this.events))
    this.log.replaceChildren(...this.views.map((view) => view.element))
    this.scrollDown()
  }

  /** Ask, and let the answer stream in. */
  async ask(question: Omit<Question, 'before'>, turn: Turn, follow: boolean): Promise<void> {
    const conversation = this.conversation
    if (!conversation || this.running) return
    const before = follow ? earlier(conversation) : []
    const view = new TurnView(turn, this.events)
    conversation.turns.push(turn)
    this.views.push(view)
    this.log.append(view.element)
    this.scrollDown()
    this.running = new AbortController()
    this.events.onBusy(true)
    try {
      await this.stream({ ...question, before }, turn, view, this.running.signal)
    } catch (error) {
      turn.state = this.running?.signal.aborted === false ? 'failed' : 'stopped'
      turn.problem = wordsOf(error)
    } finally {
      this.running = null
      this.events.onBusy(false)
    }
    this.finish(conversation, turn, view)
  }

  /** Stop the answer that is coming, if any. */
  stop(): void {
    this.running?.abort()
  }

  /** Mark whose regions the map shows. */
  setShown(turn: Turn | null): void {
    this.shown = turn
    for (const view of this.views) view.setShown(view.turn === turn)
  }

  /** Light a region of the answer that the map shows. */
  light(number: number | null): void {
    this.viewOfShown()?.light(number)
  }

  /** Bring a region of the answer that the map shows into sight. */
  reveal(number: number): void {
    this.viewOfShown()?.reveal(number)
  }

  private async stream(question: Question, turn: Turn, view: TurnView, signal: AbortSignal): Promise<void> {
    for await (const piece of this.server.ask(question, signal)) {
      if ('answer' in piece) turn.answer = piece.answer
      else turn.text += piece.text
      if (!turn.answer) view.render()
      this.scrollDown()
    }
    turn.state = turn.answer ? 'done' : 'failed'
    if (!turn.answer) turn.problem = 'The server gave no answer: ask again.'
  }

  private finish(conversation: Conversation, turn: Turn, view: TurnView): void {
    view.render()
    const tall = view.element.offsetHeight > this.scroller.clientHeight
    view.element.scrollIntoView({ block: tall ? 'start' : 'end' })
    conversation.changed = Date.now()
    this.history.keep(conversation)
    if (turn.answer && this.conversation === conversation) this.events.onAnswer(turn)
  }

  private viewOfShown(): TurnView | undefined {
    return this.views.find((view) => view.turn === this.shown)
  }

  private scrollDown(): void {
    this.scroller.scrollTop = this.scroller.scrollHeight
  }
}

/** Give the last turns of a conversation as the model heard and said them. */
function earlier(conversation: Conversation): Question['before'] {
  return conversation.turns
    .filter((turn) => turn.answer)
    .slice(-TURNS_TO_FOLLOW)
    .flatMap((turn) => [
      { role: 'user' as const, text: turn.question },
      { role: 'assistant' as const, text: turn.answer?.text ?? '' },
    ])
}
