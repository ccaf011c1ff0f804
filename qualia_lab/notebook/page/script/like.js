// LIKE and ILIKE as the query language has them: `%` is any text, `_` any character; ILIKE folds ASCII letters only.
function likePattern(pattern, fold) {
  const lower = (text) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  const [first, ...rest] = (fold ? lower(pattern) : pattern).split("%").map((piece) => [...piece]);
  const fits = (piece, chars, at) => at + piece.length <= chars.length
    && piece.every((char, index) => char === "_" || char === chars[at + index]);
  return (text) => {
    const chars = [...(fold ? lower(text) : text)];
    if (!rest.length) return chars.length === first.length && fits(first, chars, 0);
    if (!fits(first, chars, 0)) return false;
    let at = first.length;
    for (const piece of rest.slice(0, -1)) {
      while (at + piece.length <= chars.length && !fits(piece, chars, at)) at += 1;
      if (at + piece.length > chars.length) return false;
      at += piece.length;
    }
    const last = rest.at(-1);
    return chars.length - last.length >= at && fits(last, chars, chars.length - last.length);
  };
}
