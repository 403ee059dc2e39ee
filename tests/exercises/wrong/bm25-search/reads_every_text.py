# Fault: right, and it reads the whole collection for each query.
# Rejected by: test_a_search_looks_only_where_the_words_are

import math


class BM25:
    def __init__(self, texts, k1=1.2, b=0.75):
        if k1 < 0 or b < 0 or b > 1:
            raise ValueError("k1 and b")
        self.k1, self.b, self.texts = k1, b, [list(text) for text in texts]

    def search(self, query, k):
        found = []
        average = sum(map(len, self.texts)) / max(1, len(self.texts))
        having = {w: sum(w in text for text in self.texts) for w in query}
        for place, text in enumerate(self.texts):
            total = 0.0
            for word in query:
                tf, n = text.count(word), having[word]
                if tf:
                    idf = math.log(1 + (len(self.texts) - n + 0.5) / (n + 0.5))
                    norm = 1 - self.b + self.b * len(text) / average
                    total += idf * tf * (self.k1 + 1) / (tf + self.k1 * norm)
            if total:
                found.append((place, total))
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:k]
