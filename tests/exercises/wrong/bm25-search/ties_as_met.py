# Fault: equal scores stand in the order of the query's words.
# Rejected by: test_equal_scores_by_different_words

import math
from collections import Counter, defaultdict


class BM25:
    def __init__(self, texts, k1=1.2, b=0.75):
        if k1 < 0 or b < 0 or b > 1:
            raise ValueError("k1 and b")
        self.k1, self.b, self.size = k1, b, len(texts)
        self.lengths = [len(text) for text in texts]
        self.average = sum(self.lengths) / self.size if self.size else 0.0
        self.postings = defaultdict(dict)
        for place, text in enumerate(texts):
            for word, count in Counter(text).items():
                self.postings[word][place] = count

    def search(self, query, k):
        scores = defaultdict(float)
        for word, times in Counter(query).items():
            having = self.postings.get(word, {})
            idf = math.log(1 + (self.size - len(having) + 0.5) / (len(having) + 0.5))
            for place, tf in having.items():
                norm = 1 - self.b + self.b * self.lengths[place] / self.average
                scores[place] += times * idf * tf * (self.k1 + 1) / (tf + self.k1 * norm)
        best = sorted(scores, key=lambda place: -scores[place])
        return [(place, scores[place]) for place in best[:k]]
