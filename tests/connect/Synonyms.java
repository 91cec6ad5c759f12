import java.io.Reader;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.core.WhitespaceAnalyzer;
import org.apache.lucene.analysis.synonym.SolrSynonymParser;
import org.apache.lucene.analysis.synonym.SynonymFilter;
import org.apache.lucene.analysis.synonym.SynonymMap;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;

/** Reads a file of synonyms with Lucene's own parser, and prints what each further argument, a query, becomes. */
public class Synonyms {
    public static void main(String[] args) throws Exception {
        SolrSynonymParser parser = new SolrSynonymParser(true, true, new WhitespaceAnalyzer());
        try (Reader file = Files.newBufferedReader(Path.of(args[0]), StandardCharsets.UTF_8)) {
            parser.parse(file);
        }
        SynonymMap rules = parser.build();
        for (int i = 1; i < args.length; i++) {
            StringBuilder out = new StringBuilder();
            try (TokenStream words = new WhitespaceAnalyzer().tokenStream("f", new StringReader(args[i]));
                    TokenStream changed = new SynonymFilter(words, rules, true)) {
                CharTermAttribute word = changed.addAttribute(CharTermAttribute.class);
                changed.reset();
                while (changed.incrementToken()) {
                    out.append(out.length() == 0 ? "" : " ").append(word);
                }
                changed.end();
            }
            System.out.println(out);
        }
    }
}
