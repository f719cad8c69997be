/** What the page does: it joins the map, the conversation, the list of images and the server. */
import { getIntersection } from 'ol/extent'
import Polygon, { fromExtent } from 'ol/geom/Polygon'
import { Chat } from './chat/chat'
import { Composer, type Wish } from './chat/composer'
import { type Conversation, newConversation, type Turn } from './chat/conversation'
import { History } from './chat/history'
import { HistoryPanel } from './chat/history-panel'
import { Stage } from './map/stage'
import type { AskShape } from './map/tools'
import { download, find } from './page/dom'
import { bindKeyDialog } from './page/key-dialog'
import { Notices } from './page/notices'
import { Sheet } from './page/sheet'
import { bindTheme } from './page/theme'
import { countWords } from './page/units'
import { Panel } from './rasters/panel'
import { RenderingChoice } from './rasters/rendering'
import type { Question, Raster, TileSet } from './server/records'
import { Refusal, wordsOf } from './server/refusal'
import { Server } from './server/server'
import { Toolbar } from './toolbar'

export class App {
  private readonly server = new Server()
  private readonly notices = new Notices()
  private readonly history = new History(() => this.server.owner)
  private readonly stage: Stage
  private readonly chat: Chat
  private readonly composer: Composer
  private readonly panel: Panel
  private readonly rendering: RenderingChoice
  private readonly earlier: HistoryPanel
  private readonly sheet: Sheet
  private rasters: Raster[] = []
  private sets: TileSet[] = []
  private lit: number | null = null
  private loading = 0

  constructor() {
    const parts = { map: find('#map'), bar: find('#swipe'), scale: find('#scale'), position: find('#position') }
    this.stage = new Stage(parts, this.server, {
      onPoint: (number) => this.chat.light(number),
      onPick: (number) => this.revealRegion(number),
      onShape: (shape) => this.addShape(shape),
      onTool: (tool) => toolbar.setTool(tool),
      onFault: (error) => this.notices.fault(`The map could not be drawn. ${wordsOf(error)}`),
      say: (words) => this.notices.say(words),
    })
    this.chat = new Chat(this.server, this.history, {
      onPoint: (turn, number) => turn === this.chat.shown && this.light(number),
      onPick: (turn, number) => this.goToRegion(turn, number),
      onShow: (turn) => this.showTurn(turn),
      onSave: (turn, format) => void this.save(turn, format),
      onAgain: (turn) => void this.ask(turn.question, turn.shapes, turn.options, turn),
      onBusy: (busy) => this.composer.setBusy(busy),
      onAnswer: (turn) => this.answered(turn),
    })
    this.composer = new Composer({
      onAsk: (wish) => this.askWish(wish),
      onStop: () => this.chat.stop(),
      onShapes: () => this.drawAsked(),
    })
    this.panel = new Panel(this.server, {
      onChoose: (rasters) => void this.choose(rasters),
      onFault: (words) => this.notices.fault(words),
    })
    this.rendering = new RenderingChoice((bands) => this.showIn(bands))
    this.earlier = new HistoryPanel(this.history, (conversation) => void this.open(conversation))
    this.sheet = new Sheet(() => this.stage.refresh())
    const toolbar = new Toolbar(this.stage, {
      write: () => this.composer.focus(),
      useView: () => this.useView(),
      clear: () => this.clear(),
      step: (by) => this.stepRegion(by),
      escape: () => this.chat.stop(),
    })
    bindTheme(() => this.stage.refresh())
    bindKeyDialog(this.server, () => void this.start())
  }

  /** Ask the server what it has. */
  async start(): Promise<void> {
    document.body.setAttribute('aria-busy', 'true')
    try {
      const models = await this.server.greet()
      find('#model').textContent = models[0] ?? ''
      this.composer.setModels(models)
      await this.panel.load()
      this.earlier.render(null)
      if (!this.rasters.length) this.composer.setDates(0)
    } catch (error) {
      if (!(error instanceof Refusal && error.needsKey)) this.notices.fault(wordsOf(error))
    } finally {
      document.body.setAttribute('aria-busy', 'false')
    }
  }

  /** Show rasters and begin a conversation about them. */
  private async choose(rasters: Raster[]): Promise<void> {
    const same = this.rasters.map(({ id }) => id).join() === rasters.map(({ id }) => id).join()
    if (same && rasters.length) {
      this.stage.fit()
      return
    }
    if (await this.show(rasters, null)) this.begin(newConversation(rasters, Date.now()))
  }

  /** Open a conversation of the history, with its rasters where they are still there. */
  private async open(conversation: Conversation): Promise<void> {
    const rasters = conversation.rasters.flatMap(({ id }) => this.panel.find(id) ?? [])
    const gone = rasters.length < conversation.rasters.length
    if (gone)
      this.notices.tell('The image of this conversation is no longer on the server: its words are all that is left.')
    if (await this.show(gone ? [] : rasters, conversation.bands)) this.begin(conversation)
    this.sheet.open('chat')
    const last = conversation.turns.filter((turn) => turn.answer?.regions.length).at(-1)
    if (last && !gone) this.showTurn(last)
  }

  /** Show rasters on the map; false where they could not be had, or others were chosen meanwhile. */
  private async show(rasters: Raster[], bands: string | null): Promise<boolean> {
    this.loading += 1
    const mine = this.loading
    let sets: TileSet[]
    try {
      sets = await Promise.all(rasters.map(({ id }) => this.server.tiles(id)))
    } catch (error) {
      this.notices.fault(wordsOf(error))
      return false
    }
    if (mine !== this.loading) return false
    this.rasters = rasters
    this.sets = sets
    this.stage.show(sets, bands)
    this.panel.mark(rasters.map(({ id }) => id))
    this.rendering.offer(rasters[0] ?? null, sets[0] ?? null, bands)
    this.describe()
    this.composer.setShapes([])
    this.composer.setDates(rasters.length)
    return true
  }

  private begin(conversation: Conversation): void {
    this.chat.open(conversation)
    this.chat.setShown(null)
    this.composer.offer(conversation.turns.length === 0)
    this.earlier.render(conversation.id)
    this.sheet.open('chat')
  }

  private describe(): void {
    const [first, second] = this.rasters
    find('#welcome').hidden = Boolean(first)
    for (const id of ['#tools', '#zoom']) find(id).hidden = !first
    find('#subject').textContent = second ? 'Two dates of one place' : (first?.name ?? 'No image chosen')
    find('#subject-facts').textContent = first ? factsOf(first) : 'Choose one of the images, or add one.'
    for (const [id, raster] of [
      ['#date-first', first],
      ['#date-second', second],
    ] as const) {
      find(id).hidden = !second
      find(id).textContent = raster?.name ?? ''
    }
    document.title = first ? `${first.name} · Nadir` : 'Nadir'
  }

  private showIn(bands: string | null): void {
    if (!this.chat.conversation) return
    this.chat.conversation.bands = bands
    this.stage.show(this.sets, bands, true)
    this.stage.showAnswer(this.chat.shown?.answer ?? null)
  }

  private askWish(wish: Wish): void {
    const options: Question['options'] = {}
    const bands = this.chat.conversation?.bands
    if (bands) options.bands = bands
    if (wish.task) options.task = wish.task
    if (wish.budget) options.budget = Number(wish.budget)
    if (wish.part === 'view') {
      const view = this.stage.view()
      if (!view) {
        this.notices.fault('The map shows nothing of the image: move it back with F, or look at the whole image.')
        return
      }
      Object.assign(options, view)
    }
    const frame = this.stage.current
    const shapes = this.composer.asked.map(({ kind, polygon }) => ({
      kind,
      said: frame?.say(polygon) ?? '',
      ring: polygon.getCoordinates()[0] ?? [],
    }))
    if (shapes.length) options.regions = shapes.map(({ said }) => said)
    this.composer.setShapes([])
    void this.ask(wish.words, shapes, options, wish)
  }

  private async ask(
    words: string,
    shapes: Turn['shapes'],
    options: Question['options'],
    { follow, model }: Pick<Turn, 'follow' | 'model'>,
  ): Promise<void> {
    if (this.chat.busy) return
    const id = crypto.getRandomValues(new Uint32Array(1)).join()
    const turn: Turn = {
      ...{ id, question: words, shapes, options, follow, model },
      ...{ state: 'asking', text: '', answer: null, problem: null },
    }
    this.composer.offer(false)
    this.stage.showAnswer(null)
    this.chat.setShown(turn)
    this.drawAsked()
    await this.chat.ask({ words, images: this.rasters.map((raster) => raster.id), options, model }, turn, follow)
    this.earlier.render(this.chat.conversation?.id ?? null)
  }

  private answered(turn: Turn): void {
    this.showTurn(turn)
    const found = turn.answer?.regions.length ?? 0
    if (found) this.notices.say(`${found} regions are on the map. Use the bracket keys to go through them.`)
  }

  private showTurn(turn: Turn): void {
    this.stage.showAnswer(turn.answer)
    this.chat.setShown(turn)
    this.lit = null
    this.drawAsked()
  }

  /** Draw the regions of the question that is being written, or else of the answer that is shown. */
  private drawAsked(): void {
    const drawn = this.composer.asked
    const shapes = drawn.length ? drawn : (this.chat.shown?.shapes ?? [])
    this.stage.tools.showAsked(
      shapes.map((shape) => ('polygon' in shape ? shape : { kind: shape.kind, polygon: new Polygon([shape.ring]) })),
    )
  }

  private addShape(shape: AskShape): void {
    this.composer.setShapes([...this.composer.asked, shape])
    this.sheet.open('chat')
    this.composer.offer(true)
    this.composer.focus()
    this.notices.say(`Region ${this.composer.asked.length} is set. Write what you want to know about it.`)
  }

  private useView(): void {
    const frame = this.stage.current
    if (frame) this.addShape({ kind: 'view', polygon: fromExtent(getIntersection(this.stage.extent, frame.extent)) })
  }

  private clear(): void {
    this.composer.setShapes([])
    this.stage.tools.clearMeasured()
    this.stage.showAnswer(null)
    this.chat.setShown(null)
    this.drawAsked()
  }

  private light(number: number | null): void {
    this.lit = number ?? this.lit
    this.stage.light(number)
    this.chat.light(number)
  }

  private goToRegion(turn: Turn, number: number): void {
    if (turn !== this.chat.shown) this.showTurn(turn)
    this.sheet.lower()
    this.stage.fit(number)
    this.light(number)
  }

  private revealRegion(number: number): void {
    this.sheet.open('chat')
    this.light(number)
    this.chat.reveal(number)
  }

  private stepRegion(by: number): void {
    const count = this.chat.shown?.answer?.regions.length ?? 0
    if (!count) return
    const next = this.lit === null ? (by > 0 ? 1 : count) : ((this.lit - 1 + by + count) % count) + 1
    this.stage.fit(next)
    this.revealRegion(next)
  }

  private async save(turn: Turn, format: 'geojson' | 'gpkg' | 'png'): Promise<void> {
    const answer = turn.answer
    const name = (this.chat.conversation?.rasters[0]?.name ?? 'answer').replace(/\.\w+$/, '')
    try {
      if (format === 'png') {
        if (turn !== this.chat.shown) this.showTurn(turn)
        const picture = await this.stage.picture()
        if (picture) download(picture, `${name}-map.png`)
      } else if (answer && format === 'geojson') {
        const text = JSON.stringify(answer.geojson)
        download(new Blob([text], { type: 'application/geo+json' }), `${name}-regions.geojson`)
      } else if (answer) {
        const images = this.chat.conversation?.rasters.map(({ id }) => id) ?? []
        download(await this.server.export(answer, images, 'gpkg'), `${name}-regions.gpkg`)
      }
    } catch (error) {
      this.notices.fault(`The file could not be written. ${wordsOf(error)}`)
    }
  }
}

function factsOf(raster: Raster): string {
  const size = `${countWords(raster.width)} × ${countWords(raster.height)} px`
  const bands = raster.bands.length === 1 ? '1 band' : `${raster.bands.length} bands`
  const place = raster.crs
    ? `${raster.crs.slice(0, 24)}, ${Number((raster.gsd_m ?? 0).toPrecision(2))} m a pixel`
    : 'no place on the map: areas in pixels'
  return [size, `${bands} ${raster.dtype}`, place].join(' · ')
}
