/** The page's icons, from lucide; decoration only, each button says its name itself. */
import {
  ArrowUp,
  BoxSelect,
  Braces,
  ChevronDown,
  CircleAlert,
  CircleHelp,
  Columns2,
  Crosshair,
  createElement,
  Database,
  Eraser,
  FileImage,
  Hand,
  History,
  Image,
  KeyRound,
  Layers,
  MapPin,
  Maximize,
  MessageSquare,
  Minus,
  Monitor,
  Moon,
  Pentagon,
  Plus,
  Ruler,
  Search,
  SlidersHorizontal,
  Square,
  Sun,
  Trash,
  TriangleRight,
  Upload,
  X,
} from 'lucide'

const ICONS = {
  alert: CircleAlert,
  area: TriangleRight,
  box: BoxSelect,
  braces: Braces,
  chat: MessageSquare,
  clear: Eraser,
  close: X,
  columns: Columns2,
  dark: Moon,
  data: Database,
  down: ChevronDown,
  file: FileImage,
  fit: Maximize,
  hand: Hand,
  help: CircleHelp,
  history: History,
  image: Image,
  key: KeyRound,
  layers: Layers,
  light: Sun,
  minus: Minus,
  options: SlidersHorizontal,
  plus: Plus,
  point: MapPin,
  polygon: Pentagon,
  ruler: Ruler,
  search: Search,
  send: ArrowUp,
  stop: Square,
  system: Monitor,
  target: Crosshair,
  trash: Trash,
  upload: Upload,
} as const

export type IconName = keyof typeof ICONS

/** Draw an icon, `size` CSS pixels wide. */
export function icon(name: IconName, size = 18): SVGElement {
  return createElement(ICONS[name], { width: size, height: size, 'aria-hidden': 'true', 'stroke-width': 1.9 })
}

/** Put icons where index.html names them: <i data-icon="upload"></i>. */
export function fillIcons(within: ParentNode): void {
  for (const place of within.querySelectorAll<HTMLElement>('i[data-icon]')) {
    const name = place.dataset.icon
    if (name && name in ICONS) place.replaceWith(icon(name as IconName, Number(place.dataset.size ?? 18)))
  }
}
